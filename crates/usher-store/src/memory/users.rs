//! Users in memory.

use std::ops::Bound;

use async_trait::async_trait;
use usher_auth::ids::UserId;
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause};
use usher_auth::user::{PasswordHash, User};

use super::MemoryStore;
use super::tables::Tables;
use crate::backend::normalised_roles;
use crate::{BannedUser, ChangedUser, CreateUser, RevocationTimes, StoreError, UserChange, UserStore};

#[async_trait]
impl UserStore for MemoryStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> Result<CreateUser, StoreError> {
        let mut tables = self.tables();
        if tables.users.contains_key(&user.id) {
            return Ok(CreateUser::Exists);
        }
        if tables.banned.contains_key(&user.id) {
            return Ok(CreateUser::Banned);
        }
        tables.remove_belongings(&user.id);
        let user = User { roles: normalised_roles(&user.roles), ..user.clone() };
        tables.users.insert(user.id.clone(), (user, password.cloned()));
        Ok(CreateUser::Created)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.tables().users.get(id).map(|(user, _)| user.clone()))
    }

    async fn user_with_password(&self, id: &UserId) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
        Ok(self.tables().users.get(id).cloned())
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tables = self.tables();
        let page = tables.users.range::<UserId, _>((start, Bound::Unbounded)).take(limit);
        Ok(page.map(|(_, (user, _))| user.clone()).collect())
    }

    async fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        when: RevocationTimes,
    ) -> Result<Option<ChangedUser>, StoreError> {
        let mut tables = self.tables();
        let Some((user, password)) = tables.users.get_mut(id) else { return Ok(None) };
        match change {
            UserChange::Password(new) => *password = Some(new.clone()),
            UserChange::Roles(roles) => user.roles = normalised_roles(roles),
            UserChange::Disable => user.disabled = true,
            UserChange::Enable => user.disabled = false,
            UserChange::Remove => {}
        }
        let mut user = Some(user.clone());
        if *change == UserChange::Remove {
            tables.users.remove(id);
            tables.known_addresses.retain(|(of, _), _| of != id);
            user = None;
        }
        let revocation = change.revocation(id, when);
        let revoked = revocation.map_or_else(Vec::new, |revocation| tables.revoke(&revocation));
        Ok(Some(ChangedUser { user, revoked }))
    }

    async fn upgrade_password_hash(
        &self,
        id: &UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        match self.tables().users.get_mut(id) {
            Some((_, Some(current))) if *current == *old => {
                *current = new.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn ban_user(&self, id: &UserId, when: RevocationTimes) -> Result<Vec<Revocation>, StoreError> {
        let mut tables = self.tables();
        tables.banned.entry(id.clone()).or_insert(when.at);
        Ok(tables.revoke(&when.revocation_of_user(id, RevocationCause::UserBanned)))
    }

    async fn unban_user(&self, id: &UserId) -> Result<bool, StoreError> {
        Ok(self.tables().banned.remove(id).is_some())
    }

    async fn banned_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<BannedUser>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tables = self.tables();
        let page = tables.banned.range::<UserId, _>((start, Bound::Unbounded)).take(limit);
        Ok(page.map(|(user, at)| BannedUser { user: user.clone(), banned_at: *at }).collect())
    }

    async fn blocked_users(&self) -> Result<Vec<BlockedUser>, StoreError> {
        let tables = self.tables();
        let disabled = tables.users.iter().filter(|(_, (user, _))| user.disabled).map(|(id, _)| id);
        let blocked = |user: &UserId, cause| BlockedUser { user: user.clone(), cause };
        let disabled = disabled.map(|id| blocked(id, RevocationCause::UserDisabled));
        Ok(disabled.chain(tables.banned.keys().map(|id| blocked(id, RevocationCause::UserBanned))).collect())
    }
}

impl Tables {
    fn remove_belongings(&mut self, id: &UserId) {
        self.remove_sessions(|session| session.user == *id);
        self.remove_api_keys(|key| key.user == *id);
        self.known_addresses.retain(|(user, _), _| user != id);
    }
}
