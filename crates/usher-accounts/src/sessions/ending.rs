//! The end of sessions that a user asks for.

use std::time::Duration;

use usher_auth::ids::{SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::StoreError;

use super::Sessions;
use crate::revoker::Revoker as _;
use crate::turns::{NoTurn, Turn};

/// Why sessions were not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The account has ended sessions too often with a credential that goes on.
    #[error("too many log-outs of this account")]
    TooMany {
        /// Not before that.
        retry_after: Duration,
    },
    /// Other requests of the account wait for the store.
    #[error(transparent)]
    Busy(#[from] NoTurn),
    /// The credential that asks for it was ended by an earlier request.
    #[error("the credential has ended meanwhile")]
    Ended,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// End one of the caller's sessions with its tokens and sockets. To end one's own is not counted.
    pub async fn end(&self, by: &CredentialFacts, id: &SessionId, cause: RevocationCause) -> Result<(), EndError> {
        let own = by.session.as_ref() == Some(id);
        if !own {
            self.pace_ends(&by.user)?;
        }
        let _turn = self.turn_to_end(&by.user).await?;
        match (own, self.parts.revoker.is_revoked(by)) {
            // Another request has ended it.
            (true, true) => return Ok(()),
            (false, true) => return Err(EndError::Ended),
            (false, false) if self.parts.store.session(id).await?.is_none() => return Ok(()),
            (_, false) => {}
        }
        Ok(self.revoke(RevocationTarget::Session(id.clone()), cause).await?)
    }

    /// End all of the caller's sessions but `kept`, which is the caller's, with their tokens and sockets.
    pub async fn end_others(&self, by: &CredentialFacts, kept: &SessionId) -> Result<(), EndError> {
        self.pace_ends(&by.user)?;
        self.end_all_but(by, Some(kept)).await
    }

    /// End all of the caller's sessions with their tokens and sockets. It is counted if the caller's credential goes on.
    pub async fn end_all(&self, by: &CredentialFacts) -> Result<(), EndError> {
        if by.session.is_none() {
            self.pace_ends(&by.user)?;
        }
        self.end_all_but(by, None).await
    }

    async fn end_all_but(&self, by: &CredentialFacts, kept: Option<&SessionId>) -> Result<(), EndError> {
        let _turn = self.turn_to_end(&by.user).await?;
        if self.parts.revoker.is_revoked(by) {
            return Err(EndError::Ended);
        }
        let (user, issued_before) = (by.user.clone(), self.parts.clock.now().unix);
        let target = RevocationTarget::User { user, issued_before, except: kept.cloned() };
        Ok(self.revoke(target, RevocationCause::LogoutEverywhere).await?)
    }

    /// Counts ends of sessions that `user` can repeat.
    fn pace_ends(&self, user: &UserId) -> Result<(), EndError> {
        let refused = self.parts.throttle.record_session_ends(user.as_str(), self.parts.clock.now());
        refused.map_or(Ok(()), |retry_after| Err(EndError::TooMany { retry_after }))
    }

    async fn turn_to_end(&self, user: &UserId) -> Result<Turn, EndError> {
        Ok(self.turns.take(user).await?)
    }

    async fn revoke(&self, target: RevocationTarget, cause: RevocationCause) -> Result<(), StoreError> {
        let at = self.parts.clock.now().unix;
        let forget_at = self.parts.lifetimes.forget_at(&target, at, None);
        let revocation = Revocation { target, cause, at, forget_at };
        self.parts.revoker.revoke(&revocation, None).await.map(|_| ())
    }
}
