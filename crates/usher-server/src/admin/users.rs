//! Operations on users.

use usher_auth::UnixTime;
use usher_auth::ids::{Role, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::user::User;
use usher_store::CreateUser;

use super::administration::check_text;
use super::{AdminError, Administration, Answer, MAX_LIST, NewPassword, UserRow};
use crate::passwords::check_new_password;

/// Longest name, in bytes. Every frame about the user repeats it.
const MAX_NAME_BYTES: usize = 256;
/// Most roles of one user. Every access token repeats them.
const MAX_ROLES: usize = 32;

impl Administration {
    pub(super) async fn add_user(
        &self,
        id: UserId,
        name: String,
        mut roles: Vec<Role>,
        password: NewPassword,
    ) -> Result<Answer, AdminError> {
        if !id.is_local() {
            return Err(AdminError::NotLocal(id));
        }
        if name.trim().is_empty() {
            return Err(AdminError::Text("a user's name must not be empty"));
        }
        check_text(&name, MAX_NAME_BYTES, "a user's name has at most 256 bytes and no control characters")?;
        check_new_password(&password.0, id.as_str())?;
        roles.sort();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(AdminError::Text("a user has at most 32 roles"));
        }
        let hash = self.passwords.hash(password.0).await?;
        let user = User { id, name, roles, disabled: false, created_at: self.now() };
        match self.store.create_user(&user, Some(&hash)).await? {
            CreateUser::Created => {
                self.revoker.user_changed(&user.id);
                Ok(Answer::Done { connections_ended: 0 })
            }
            CreateUser::Exists => Err(AdminError::UserExists(user.id)),
        }
    }

    pub(super) async fn list_users(&self, after: Option<&UserId>, limit: u32) -> Result<Answer, AdminError> {
        let users = self.store.users(after, limit.clamp(1, MAX_LIST)).await?;
        let users = users.into_iter().map(|User { id, name, roles, disabled, created_at }| UserRow {
            id,
            name,
            roles,
            disabled,
            created_at: created_at.as_seconds(),
        });
        Ok(Answer::Users { users: users.collect() })
    }

    pub(super) async fn disable_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        if !self.store.set_disabled(id, true).await? {
            return Err(AdminError::NoSuchUser(id.clone()));
        }
        self.revoker.user_changed(id);
        // Everything, also what is issued later: until the user is enabled nothing of theirs holds.
        let target = RevocationTarget::User { user: id.clone(), issued_before: UnixTime::MAX, except: None };
        let (cause, at, forget_at) = (RevocationCause::UserDisabled, self.now(), UnixTime::MAX);
        let connections_ended = self.revoker.revoke(&Revocation { target, cause, at, forget_at }, None).await?;
        Ok(Answer::Done { connections_ended })
    }

    pub(super) async fn enable_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        if !self.store.set_disabled(id, false).await? {
            return Err(AdminError::NoSuchUser(id.clone()));
        }
        self.revoker.lift(id, RevocationCause::UserDisabled).await?;
        self.revoker.user_changed(id);
        Ok(Answer::Done { connections_ended: 0 })
    }

    /// Ends everything of the user before and after they are removed: before, so that nothing outlives them if the second half is
    /// never reached; after, for a log-in that was under way.
    pub(super) async fn remove_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        if !self.store.set_disabled(id, true).await? {
            return Err(AdminError::NoSuchUser(id.clone()));
        }
        let before = self.revoke_removed(id).await?;
        self.store.delete_user(id).await?;
        self.revoker.user_changed(id);
        let after = self.revoke_removed(id).await?;
        Ok(Answer::Done { connections_ended: before + after })
    }

    /// Everything up to now. The id may be given to somebody else at once, who must not be locked out; a token of the running second,
    /// which has only whole ones, ends with its session, each of which is revoked by its id.
    async fn revoke_removed(&self, id: &UserId) -> Result<usize, AdminError> {
        let issued_before = self.now();
        let target = RevocationTarget::User { user: id.clone(), issued_before, except: None };
        Ok(self.revoke(target, RevocationCause::UserDeleted).await?)
    }

    /// The next token has the new roles, and so has what is open; tokens with the old ones end.
    pub(super) async fn set_roles(&self, id: &UserId, mut roles: Vec<Role>) -> Result<Answer, AdminError> {
        roles.sort();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(AdminError::Text("a user has at most 32 roles"));
        }
        if !self.store.set_roles(id, &roles).await? {
            return Err(AdminError::NoSuchUser(id.clone()));
        }
        let target = RevocationTarget::User { user: id.clone(), issued_before: self.now(), except: None };
        let connections_ended = self.revoke(target, RevocationCause::RolesChanged).await?;
        Ok(Answer::Done { connections_ended })
    }

    pub(super) async fn set_password(&self, id: &UserId, password: NewPassword) -> Result<Answer, AdminError> {
        check_new_password(&password.0, id.as_str())?;
        let hash = self.passwords.hash(password.0).await?;
        if !self.store.set_password(id, &hash).await? {
            return Err(AdminError::NoSuchUser(id.clone()));
        }
        let target = RevocationTarget::User { user: id.clone(), issued_before: self.now(), except: None };
        let connections_ended = self.revoke(target, RevocationCause::PasswordChanged).await?;
        Ok(Answer::Done { connections_ended })
    }
}
