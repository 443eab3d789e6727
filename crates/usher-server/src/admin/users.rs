//! Operations on users.

use usher_auth::ids::{Role, UserId};
use usher_auth::revocation::RevocationTarget;
use usher_auth::user::User;
use usher_store::{BannedUser, CreateUser, RevocationTimes, UserChange};

use super::administration::check_text;
use super::{AdminError, Administration, Answer, BannedRow, MAX_LIST, NewPassword, UserRow};
use usher_accounts::check_new_password;

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
                self.revoker.user_added(&user.id).await;
                Ok(Answer::Done { connections_ended: 0 })
            }
            CreateUser::Exists => Err(AdminError::UserExists(user.id)),
            CreateUser::Banned => Err(AdminError::Banned(user.id)),
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
        self.change_user(id, &UserChange::Disable).await
    }

    pub(super) async fn enable_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        self.change_user(id, &UserChange::Enable).await
    }

    pub(super) async fn remove_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        self.change_user(id, &UserChange::Remove).await
    }

    /// The next token has the new roles, and so has what is open; tokens with the old ones end.
    pub(super) async fn set_roles(&self, id: &UserId, mut roles: Vec<Role>) -> Result<Answer, AdminError> {
        roles.sort();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(AdminError::Text("a user has at most 32 roles"));
        }
        self.change_user(id, &UserChange::Roles(roles)).await
    }

    pub(super) async fn set_password(&self, id: &UserId, password: NewPassword) -> Result<Answer, AdminError> {
        check_new_password(&password.0, id.as_str())?;
        let hash = self.passwords.hash(password.0).await?;
        self.change_user(id, &UserChange::Password(hash)).await
    }

    /// One transaction for the change and all that ends with it; then live connections follow.
    async fn change_user(&self, id: &UserId, change: &UserChange) -> Result<Answer, AdminError> {
        let changed = self.store.change_user(id, change, self.times_for_user(id)).await?;
        let changed = changed.ok_or_else(|| AdminError::NoSuchUser(id.clone()))?;
        let connections_ended = self.revoker.user_changed(id, &changed).await;
        Ok(Answer::Done { connections_ended })
    }

    /// Refuse another issuer's user. It need not have been here before.
    pub(super) async fn ban_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        if self.store.user(id).await?.is_some() {
            return Err(AdminError::LocalUser(id.clone()));
        }
        let remembered = self.store.ban_user(id, self.times_for_user(id)).await?;
        Ok(Answer::Done { connections_ended: self.revoker.banned(id, &remembered).await })
    }

    pub(super) async fn unban_user(&self, id: &UserId) -> Result<Answer, AdminError> {
        if !self.store.unban_user(id).await? {
            return Err(AdminError::NotBanned(id.clone()));
        }
        self.revoker.unbanned(id).await;
        Ok(Answer::Done { connections_ended: 0 })
    }

    pub(super) async fn list_banned(&self, after: Option<&UserId>, limit: u32) -> Result<Answer, AdminError> {
        let users = self.store.banned_users(after, limit.clamp(1, MAX_LIST)).await?;
        let users = users.into_iter();
        let users =
            users.map(|BannedUser { user, banned_at }| BannedRow { id: user, banned_at: banned_at.as_seconds() });
        Ok(Answer::BannedUsers { users: users.collect() })
    }

    fn times_for_user(&self, id: &UserId) -> RevocationTimes {
        let at = self.now();
        let target = RevocationTarget::User { user: id.clone(), issued_before: at, except: None };
        RevocationTimes { at, forget_at: self.lifetimes.forget_at(&target, at, None) }
    }
}
