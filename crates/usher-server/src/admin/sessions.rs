//! Operations on sessions.

use std::time::Duration;

use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::session::Session;
use usher_store::StoreError;

use super::{AdminError, Administration, Answer, SessionRow};

impl Administration {
    pub(super) async fn list_sessions(&self, user: &UserId) -> Result<Answer, AdminError> {
        let sessions = self.live_sessions(user).await?.into_iter().map(|session| SessionRow {
            expires_at: session.expires_at(self.session_limits).as_seconds(),
            id: session.id,
            created_at: session.created_at.as_seconds(),
            last_seen_at: session.last_seen_at.as_seconds(),
            client_ip: session.client_ip,
            user_agent: session.user_agent,
        });
        Ok(Answer::Sessions { sessions: sessions.collect() })
    }

    async fn live_sessions(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        let now = self.now();
        let mut sessions = self.store.sessions_of(user, None, u32::MAX).await?;
        // One whose cookie has idled out may come back by its refresh token; one past its absolute limit is nobody's business.
        sessions.retain(|session| session.created_at.plus(self.session_limits.absolute) > now);
        Ok(sessions)
    }

    pub(super) async fn revoke_session(&self, id: SessionId, margin: Option<Duration>) -> Result<Answer, AdminError> {
        // One that was ended with a margin is gone from the store, and may still have connections.
        if self.store.session(&id).await?.is_none() && !self.revoker.has_connections(&id) {
            return Err(AdminError::NoSuchSession(id));
        }
        let target = RevocationTarget::Session(id);
        let connections_ended = self.revoke_with_margin(target, RevocationCause::Administrator, margin).await?;
        Ok(Answer::Done { connections_ended })
    }

    /// Also for users of other issuers, whom we do not know until they come.
    pub(super) async fn revoke_sessions_of(
        &self,
        user: UserId,
        margin: Option<Duration>,
    ) -> Result<Answer, AdminError> {
        let sessions = self.live_sessions(&user).await?.len();
        let target = RevocationTarget::User { user: user.clone(), issued_before: self.now(), except: None };
        let connections = self.revoke_with_margin(target, RevocationCause::Administrator, margin).await?;
        let leeway_seconds = self.lifetimes.issuer_leeway().map(|leeway| leeway.as_secs());
        tracing::info!(%user, sessions, connections, leeway_seconds, "ended a user's sessions; tokens of other issuers by their iat");
        Ok(Answer::SessionsEnded { sessions, connections, leeway_seconds })
    }
}
