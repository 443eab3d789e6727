//! Users in memory.

use std::ops::Bound;

use async_trait::async_trait;
use usher_auth::ids::{Role, UserId};
use usher_auth::user::{PasswordHash, User};

use super::MemoryStore;
use super::tables::Tables;
use crate::backend::normalised_roles;
use crate::{CreateUser, StoreError, UserStore};

#[async_trait]
impl UserStore for MemoryStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> Result<CreateUser, StoreError> {
        let mut tables = self.tables();
        if tables.users.contains_key(&user.id) {
            return Ok(CreateUser::Exists);
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

    async fn set_password(&self, id: &UserId, password: &PasswordHash) -> Result<bool, StoreError> {
        Ok(self.tables().change(id, |(_, old)| *old = Some(password.clone())))
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

    async fn set_roles(&self, id: &UserId, roles: &[Role]) -> Result<bool, StoreError> {
        Ok(self.tables().change(id, |(user, _)| user.roles = normalised_roles(roles)))
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        Ok(self.tables().change(id, |(user, _)| user.disabled = disabled))
    }

    async fn delete_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let existed = tables.users.remove(id).is_some();
        if existed {
            tables.remove_belongings(id);
        }
        Ok(existed)
    }
}

impl Tables {
    fn change(&mut self, id: &UserId, change: impl FnOnce(&mut (User, Option<PasswordHash>))) -> bool {
        self.users.get_mut(id).map(change).is_some()
    }

    fn remove_belongings(&mut self, id: &UserId) {
        self.remove_sessions(|session| session.user == *id);
        self.remove_api_keys(|key| key.user == *id);
        self.known_addresses.retain(|(user, _), _| user != id);
    }
}
