//! How long credentials live, and so how long a revocation must be remembered: decided here for every caller.

use std::time::Duration;

use crate::revocation::RevocationTarget;
use crate::time::UnixTime;

/// The longest life of our access tokens that a configuration may set.
pub const MAX_ACCESS_TOKEN_LIFE: Duration = Duration::from_hours(24);

/// Longest time that a look-up in the store may take. What it found counts until then, and its decision asks for revocations at the end.
const LOOK_UP_AGE: Duration = Duration::from_mins(1);

/// The longest lives of credentials that are accepted without a look-up in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialLifetimes {
    /// Of our access tokens. Those that live longer, from an earlier configuration, are refused: see
    /// [`crate::jwt::IssuerRules::max_lifetime`].
    pub access_token: Duration,
    /// Of a ticket.
    pub ticket: Duration,
    /// Of other issuers' tokens: the longest `max_lifetime`. Zero where there is no other issuer.
    pub issuer_token: Duration,
    /// How far another machine's clock may be off.
    pub leeway: Duration,
}

impl CredentialLifetimes {
    /// When the end of a session at `at` may be forgotten.
    pub fn forget_session_at(&self, at: UnixTime) -> UnixTime {
        self.own(at, None)
    }

    fn own(&self, at: UnixTime, margin: Option<Duration>) -> UnixTime {
        self.after(self.access_token, at, margin)
    }

    fn after(&self, token: Duration, at: UnixTime, margin: Option<Duration>) -> UnixTime {
        let all = [token, self.ticket, self.leeway, LOOK_UP_AGE, margin.unwrap_or_default()];
        at.plus(all.into_iter().fold(Duration::ZERO, Duration::saturating_add))
    }

    /// For how long the longest revocation is remembered that has no margin.
    pub fn longest(&self) -> Duration {
        let at = UnixTime::EPOCH;
        self.after(self.access_token.max(self.issuer_token), at, None).since(at)
    }

    /// For how long after the revocation of a user other issuers' tokens are refused by their `iat`: their clocks may be ahead. `None`
    /// where there is no other issuer.
    pub fn issuer_leeway(&self) -> Option<Duration> {
        (!self.issuer_token.is_zero()).then_some(self.leeway)
    }

    /// When a revocation of `target` at `at` may be forgotten. Until `margin` is over, connections that it ends may go on.
    ///
    /// Cookies, refresh tokens, session keys and API keys are looked up: they end because the store no longer has them. What a
    /// revocation has to be remembered for are tokens, which are not looked up, and tickets bought with them. Another issuer's token
    /// without `iat` is refused until the revocation is forgotten, since nothing tells that it is newer.
    pub fn forget_at(&self, target: &RevocationTarget, at: UnixTime, margin: Option<Duration>) -> UnixTime {
        match target {
            RevocationTarget::Session(_) | RevocationTarget::ApiKey(_) | RevocationTarget::Token(None, _) => {
                self.own(at, margin)
            }
            RevocationTarget::User { .. }
            | RevocationTarget::Token(Some(_), _)
            | RevocationTarget::IssuerSession(..)
            | RevocationTarget::IssuerSubject { .. } => {
                self.after(self.access_token.max(self.issuer_token), at, margin)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_revocation_is_remembered_for_as_long_as_the_longest_token_it_could_end() {
        // req G8
        let lifetimes =
            CredentialLifetimes { access_token: HOUR * 7, ticket: HOUR, issuer_token: HOUR * 24 * 400, leeway: HOUR };
        let session = RevocationTarget::Session(SessionId::new("s").expect("valid"));
        let user = RevocationTarget::User {
            user: UserId::new("alice").expect("valid"),
            issued_before: UnixTime::MAX,
            except: None,
        };
        let own = RevocationTarget::Token(None, TokenId::new("t").expect("valid"));
        let theirs =
            RevocationTarget::Token(Some(IssuerName::new("idp").expect("valid")), TokenId::new("t").expect("valid"));
        let idp = || IssuerName::new("idp").expect("valid");
        let their_session = RevocationTarget::IssuerSession(idp(), IssuerSessionId::new("s").expect("valid"));
        let subject = IssuerSubject::new("a").expect("valid");
        let their_user = RevocationTarget::IssuerSubject { issuer: idp(), subject, issued_before: UnixTime::MAX };
        let at = UnixTime::from_seconds(1_800_000_000);
        let life = |target, margin| lifetimes.forget_at(target, at, margin).since(at);
        // Beside the token: the ticket's life and the leeway, one hour each here.
        let besides = LOOK_UP_AGE + HOUR * 2;
        assert_eq!(life(&session, None), HOUR * 7 + besides);
        assert_eq!(life(&session, Some(HOUR * 5)), HOUR * 7 + HOUR * 5 + besides);
        assert_eq!(life(&own, None), HOUR * 7 + besides);
        for long in [&user, &theirs, &their_session, &their_user] {
            assert_eq!(life(long, None), HOUR * 24 * 400 + besides);
        }
        let none = CredentialLifetimes { issuer_token: Duration::ZERO, ..lifetimes };
        assert_eq!(none.forget_at(&user, at, None), at.plus(HOUR * 7 + besides));
        let endless = CredentialLifetimes { issuer_token: Duration::MAX, ..lifetimes };
        assert_eq!(endless.forget_at(&user, at, None), UnixTime::MAX);
    }
}
