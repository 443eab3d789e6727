//! Tokens that were verified already: whoever comes back, as a whole crowd does after a network is cut, is not asked for the same
//! proof again.
//!
//! What is remembered is that a signature and its claims held, for that verifier with its issuers and audiences. Revocation is not: it
//! is looked up each time, as for a token that is new. Nor is expiry, or anything that was verified with keys that were
//! replaced since.

use std::fmt;

use aws_lc_rs::hmac;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use usher_auth::jwt::MAX_TOKEN_BYTES;
use usher_auth::secret::SecretText;
use usher_auth::verify::TokenBearer;
use usher_auth::{Randomness as _, UnixTime};

use crate::ambient::SystemRandomness;

/// Most bytes of memory that what is remembered may take, where none of it is in use by a connection.
const MAX_BYTES: u64 = 16 << 20;
/// So many tokens of the usual length are that: with what the table takes for each.
const USUAL_TOKENS: usize = 20_000;
/// What the table takes for one.
const PLACE_BYTES: usize = 150;

/// Verified tokens.
pub(crate) struct TokenCache {
    /// Of this process alone: nobody can look for two tokens of one place.
    key: hmac::Key,
    seen: Cache<Place, Seen, ByBytes>,
}

/// What stands for a whole token, signature included: its keyed hash (HMAC-SHA-256). Nothing of the token can be read from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place([u8; 32]);

#[derive(Clone)]
struct Seen {
    bearer: TokenBearer,
    /// Of the issuers' keys, before the token was verified with them.
    generation: u64,
    verified_at: UnixTime,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Place, Seen> for ByBytes {
    fn weight(&self, _: &Place, seen: &Seen) -> u64 {
        (PLACE_BYTES + seen.bearer.footprint()) as u64
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("tokens", &self.seen.len()).finish_non_exhaustive()
    }
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        let mut secret = [0; 32];
        SystemRandomness.fill(&mut secret);
        let seen = Cache::with_weighter(USUAL_TOKENS, MAX_BYTES, ByBytes);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), seen }
    }

    /// Where `token` is, if it is there. One that is too long to be verified is not looked at (req F16).
    pub(crate) fn place_of(&self, token: &SecretText) -> Option<Place> {
        let token = Some(token.reveal()).filter(|token| token.len() <= MAX_TOKEN_BYTES)?;
        let mut place = [0; 32];
        place.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        Some(Place(place))
    }

    /// Who bears the token of that place, if verifying it again would give the same: with the same keys, not before it was verified
    /// (a clock that was set back may be before its `nbf`), and before its end.
    pub(crate) fn get(&self, place: &Place, generation: u64, now: UnixTime) -> Option<TokenBearer> {
        let seen = self.seen.get(place)?;
        let holds = seen.generation == generation && seen.verified_at <= now && now < seen.bearer.expires_at();
        if !holds {
            self.seen.remove(place);
        }
        holds.then_some(seen.bearer)
    }

    /// The token of that place was found good at `verified_at` with keys of `generation` or later ones.
    pub(crate) fn insert(&self, place: Place, bearer: TokenBearer, generation: u64, verified_at: UnixTime) {
        self.seen.insert(place, Seen { bearer, generation, verified_at });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use usher_auth::ids::UserId;
    use usher_auth::test_util::UnverifiedToken;

    use super::*;

    const START: UnixTime = UnixTime::from_seconds(1_760_000_000);
    const LIFE: Duration = Duration::from_mins(1);

    fn bearer() -> TokenBearer {
        TokenBearer::from(verified())
    }

    fn verified() -> UnverifiedToken {
        let user = UserId::new("idp:alice").expect("an id");
        UnverifiedToken {
            name: user.to_string(),
            user,
            issuer: None,
            roles: Vec::new(),
            claims: BTreeMap::new(),
            token_id: None,
            session: None,
            issued_by: None,
            issued_at: START,
            skew: Duration::ZERO,
            expires_at: START.plus(LIFE),
            key_id: None,
        }
    }

    #[test]
    fn a_token_is_remembered_while_nothing_about_it_has_changed() {
        let cache = TokenCache::new();
        let place = cache.place_of(&SecretText::new("a.b.c".to_owned())).expect("short enough");
        let insert = || cache.insert(place, bearer(), 7, START);
        insert();
        assert!(cache.get(&place, 7, START).is_some());
        assert!(cache.get(&place, 7, START.plus(LIFE).minus(Duration::from_millis(1))).is_some());
        let other = cache.place_of(&SecretText::new("a.b.d".to_owned())).expect("short enough");
        assert!(cache.get(&other, 7, START).is_none());
        for (case, generation, now) in [
            ("other keys", 8, START),
            ("its end", 7, START.plus(LIFE)),
            ("before it was verified", 7, START.minus(Duration::from_millis(1))),
        ] {
            insert();
            assert!(cache.get(&place, generation, now).is_none(), "{case}");
            assert!(cache.get(&place, 7, START).is_none(), "{case}: it is forgotten");
        }
    }

    #[test]
    fn another_process_has_other_places() {
        let token = SecretText::new("a.b.c".to_owned());
        assert!(TokenCache::new().place_of(&token) != TokenCache::new().place_of(&token));
    }

    #[test]
    fn what_is_remembered_is_bounded_by_its_bytes() {
        // req F16
        let cache = TokenCache::new();
        assert!(cache.place_of(&SecretText::new("x".repeat(MAX_TOKEN_BYTES + 1))).is_none());
        let groups = vec!["g".repeat(100); 80];
        let large = UnverifiedToken { claims: BTreeMap::from([("groups".to_owned(), groups)]), ..verified() };
        let large = TokenBearer::from(large);
        assert!(large.footprint() > 8_000, "{}", large.footprint());
        for number in 0..5_000_u32 {
            let place = cache.place_of(&SecretText::new(number.to_string())).expect("short enough");
            cache.insert(place, large.clone(), 7, START);
        }
        let most = usize::try_from(MAX_BYTES).expect("small") / large.footprint();
        assert!((most / 2..=most).contains(&cache.seen.len()), "{} of {most}", cache.seen.len());
    }
}
