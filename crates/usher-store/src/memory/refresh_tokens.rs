//! Refresh tokens in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::SessionId;
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshState, RefreshToken};

use super::MemoryStore;
use super::tables::{Duplicate, Tables};
use crate::backend::{RotationDecision, decide_rotation, reuse_revocation, reuse_times, spent_beyond_limit};
use crate::{EndedFamily, RefreshOutcome, RefreshRotation, RefreshTokenStore, RevocationTimes, StoreError};

#[async_trait]
impl RefreshTokenStore for MemoryStore {
    async fn create_refresh_token(&self, token: &RefreshToken) -> Result<(), StoreError> {
        let context = "remembering a refresh token";
        let mut tables = self.tables();
        if tables.session(&token.session).is_none_or(|session| session.user != token.user) {
            return Err(StoreError::new(context, "its user has no such session"));
        }
        tables.insert_refresh_token(token.clone()).map_err(|duplicate| StoreError::new(context, duplicate))
    }

    async fn refresh_token(&self, secret: &HashedToken) -> Result<Option<RefreshToken>, StoreError> {
        Ok(self.tables().refresh_tokens.get(secret).cloned())
    }

    async fn rotate_refresh_token(&self, rotation: &RefreshRotation) -> Result<RefreshOutcome, StoreError> {
        let mut tables = self.tables();
        let Some(presented) = tables.refresh_tokens.get(&rotation.presented).cloned() else {
            return Ok(RefreshOutcome::Unknown);
        };
        let successor = match &presented.state {
            RefreshState::Fresh => None,
            RefreshState::Spent { successor, .. } => tables.refresh_tokens.get(successor).cloned(),
        };
        match decide_rotation(rotation, presented, successor) {
            RotationDecision::Answer(outcome) => Ok(outcome),
            RotationDecision::EndSession(presented) => Ok(tables
                .end_family(reuse_times(rotation), presented.session)
                .map_or(RefreshOutcome::Unknown, RefreshOutcome::Reused)),
            RotationDecision::Rotate { spent, successor } => {
                tables
                    .insert_refresh_token(successor)
                    .map_err(|duplicate| StoreError::new("putting a refresh token's successor in place", duplicate))?;
                tables.refresh_tokens.insert(spent.secret, spent.clone());
                tables.families.insert(spent.session.clone(), rotation.family);
                tables.drop_spent_tokens(&spent);
                tables.touch_session(&spent.session, rotation.now);
                Ok(RefreshOutcome::Rotated(spent))
            }
        }
    }

    async fn end_refresh_family(
        &self,
        family: &HashedToken,
        when: RevocationTimes,
    ) -> Result<Option<EndedFamily>, StoreError> {
        let mut tables = self.tables();
        let of_family = tables.families.iter().find(|(_, one)| *one == family).map(|(session, _)| session.clone());
        Ok(of_family.and_then(|session| tables.end_family(when, session)))
    }

    async fn reap_refresh_tokens(&self, now: UnixTime) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let before = tables.refresh_tokens.len();
        tables.refresh_tokens.retain(|_, token| token.expires_at > now || token.state == RefreshState::Fresh);
        Ok((before - tables.refresh_tokens.len()) as u64)
    }
}

impl Tables {
    fn end_family(&mut self, when: RevocationTimes, session: SessionId) -> Option<EndedFamily> {
        let user = self.session(&session)?.user.clone();
        let revoked = self.revoke(&reuse_revocation(when, &session));
        Some(EndedFamily { session, user, revoked })
    }

    fn drop_spent_tokens(&mut self, just_now: &RefreshToken) {
        let spent = self.refresh_tokens.values().filter(|token| token.session == just_now.session);
        let spent = spent.filter_map(|token| match token.state {
            RefreshState::Spent { at, .. } => Some((at, token.secret)),
            RefreshState::Fresh => None,
        });
        for secret in spent_beyond_limit(spent.collect(), &just_now.secret) {
            self.refresh_tokens.remove(&secret);
        }
    }

    pub(super) fn insert_refresh_token(&mut self, token: RefreshToken) -> Result<(), Duplicate> {
        if self.refresh_tokens.contains_key(&token.secret) {
            return Err(Duplicate);
        }
        self.refresh_tokens.insert(token.secret, token);
        Ok(())
    }
}
