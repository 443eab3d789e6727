//! Users.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, Sqlite};
use usher_auth::ids::{Role, UserId};
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause};
use usher_auth::user::{PasswordHash, User};
use usher_store::backend::normalised_roles;
use usher_store::{BannedUser, ChangedUser, CreateUser, RevocationTimes, StoreError, UserChange, UserStore};

use super::rows::{Columns, During, RowError, read_all, read_one};
use super::writing::Writing;
use super::{SqlStore, revocations};

#[async_trait]
impl UserStore for SqlStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> Result<CreateUser, StoreError> {
        let context = "adding a user";
        let mut writing = self.write(context).await?;
        let banned = sqlx::query("SELECT 1 FROM banned_users WHERE user_id = ?").bind(user.id.as_str());
        if banned.fetch_optional(writing.connection()).await.during(context)?.is_some() {
            writing.roll_back().await?;
            return Ok(CreateUser::Banned);
        }
        let insert = sqlx::query(
            "INSERT INTO users (id, name, roles, disabled, created_at, password_hash) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(&user.name)
        .bind(joined(&user.roles))
        .bind(user.disabled)
        .bind(user.created_at.as_millis())
        .bind(password.map(PasswordHash::as_phc));
        if writing.execute(insert).await?.rows_affected() == 0 {
            writing.roll_back().await?;
            return Ok(CreateUser::Exists);
        }
        remove_belongings(&mut writing, &user.id).await?;
        writing.commit().await?;
        Ok(CreateUser::Created)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let context = "looking up a user";
        let row = sqlx::query("SELECT id, name, roles, disabled, created_at FROM users WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(self.reader(context)?)
            .await
            .during(context)?;
        read_one(row, read_user, context)
    }

    async fn user_with_password(&self, id: &UserId) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
        let context = "looking up a user with their password";
        find_with_password(self.reader(context)?, id, context).await
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        let context = "listing users";
        // Two statements, so that a later page begins at its place in the index and not at the first user.
        let query = match after {
            None => sqlx::query("SELECT id, name, roles, disabled, created_at FROM users ORDER BY id LIMIT ?"),
            Some(after) => {
                sqlx::query("SELECT id, name, roles, disabled, created_at FROM users WHERE id > ? ORDER BY id LIMIT ?")
                    .bind(after.as_str())
            }
        };
        let rows = query.bind(limit).fetch_all(self.reader(context)?).await.during(context)?;
        read_all(rows, read_user, context)
    }

    async fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        when: RevocationTimes,
    ) -> Result<Option<ChangedUser>, StoreError> {
        let context = "changing a user";
        let mut writing = self.write(context).await?;
        let id_text = id.as_str();
        let changed = match change {
            UserChange::Password(hash) => {
                let update = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ?");
                writing.execute(update.bind(hash.as_phc()).bind(id_text)).await?
            }
            UserChange::Roles(roles) => {
                let update = sqlx::query("UPDATE users SET roles = ? WHERE id = ?");
                writing.execute(update.bind(joined(roles)).bind(id_text)).await?
            }
            UserChange::Disable | UserChange::Enable => {
                let update = sqlx::query("UPDATE users SET disabled = ? WHERE id = ?");
                writing.execute(update.bind(*change == UserChange::Disable).bind(id_text)).await?
            }
            UserChange::Remove => writing.execute(sqlx::query("DELETE FROM users WHERE id = ?").bind(id_text)).await?,
        };
        if changed.rows_affected() == 0 {
            writing.roll_back().await?;
            return Ok(None);
        }
        if *change == UserChange::Remove {
            writing.execute(sqlx::query("DELETE FROM known_addresses WHERE user_id = ?").bind(id_text)).await?;
        }
        let revoked = match change.revocation(id, when) {
            Some(revocation) => revocations::revoke(&mut writing, &revocation, context).await?,
            None => Vec::new(),
        };
        let user = find_with_password(writing.connection(), id, context).await?.map(|(user, _)| user);
        writing.commit().await?;
        Ok(Some(ChangedUser { user, revoked }))
    }

    async fn upgrade_password_hash(
        &self,
        id: &UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let context = "hashing a password anew";
        let mut writing = self.write(context).await?;
        let update = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?")
            .bind(new.as_phc())
            .bind(id.as_str())
            .bind(old.as_phc());
        let updated = writing.execute(update).await?;
        writing.commit().await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn ban_user(&self, id: &UserId, when: RevocationTimes) -> Result<Vec<Revocation>, StoreError> {
        let context = "banning a user";
        let mut writing = self.write(context).await?;
        let insert = sqlx::query("INSERT INTO banned_users (user_id, banned_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(id.as_str())
            .bind(when.at.as_millis());
        writing.execute(insert).await?;
        let revocation = when.revocation_of_user(id, RevocationCause::UserBanned);
        let revoked = revocations::revoke(&mut writing, &revocation, context).await?;
        writing.commit().await?;
        Ok(revoked)
    }

    async fn unban_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let delete = sqlx::query("DELETE FROM banned_users WHERE user_id = ?").bind(id.as_str());
        Ok(self.delete(delete, "unbanning a user").await? == 1)
    }

    async fn banned_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<BannedUser>, StoreError> {
        let context = "listing banned users";
        // No id is empty, so that all come after the empty one.
        let rows =
            sqlx::query("SELECT user_id, banned_at FROM banned_users WHERE user_id > ? ORDER BY user_id LIMIT ?")
                .bind(after.map_or("", UserId::as_str))
                .bind(limit)
                .fetch_all(self.reader(context)?)
                .await
                .during(context)?;
        let read = |row: &SqliteRow| {
            Ok(BannedUser { user: row.id("user_id", UserId::new)?, banned_at: row.time("banned_at")? })
        };
        read_all(rows, read, context)
    }

    async fn blocked_users(&self) -> Result<Vec<BlockedUser>, StoreError> {
        let context = "listing the users who are refused";
        let rows = sqlx::query(
            "SELECT id, 0 AS banned FROM users WHERE disabled = 1 UNION ALL SELECT user_id, 1 FROM banned_users",
        )
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        let read = |row: &SqliteRow| {
            let cause = if row.flag("banned")? { RevocationCause::UserBanned } else { RevocationCause::UserDisabled };
            Ok(BlockedUser { user: row.id("id", UserId::new)?, cause })
        };
        read_all(rows, read, context)
    }
}

pub(super) async fn find_with_password(
    executor: impl Executor<'_, Database = Sqlite>,
    id: &UserId,
    context: &'static str,
) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
    let row = sqlx::query("SELECT id, name, roles, disabled, created_at, password_hash FROM users WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(executor)
        .await
        .during(context)?;
    let read = |row: &SqliteRow| Ok((read_user(row)?, row.optional_text("password_hash")?.map(PasswordHash::from_phc)));
    read_one(row, read, context)
}

/// Remove a user's sessions, refresh tokens (with their session), API keys and known addresses.
async fn remove_belongings(writing: &mut Writing, id: &UserId) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM sessions WHERE user_id = ?",
        "DELETE FROM api_keys WHERE user_id = ?",
        "DELETE FROM known_addresses WHERE user_id = ?",
    ] {
        writing.execute(sqlx::query(statement).bind(id.as_str())).await?;
    }
    Ok(())
}

fn joined(roles: &[Role]) -> String {
    normalised_roles(roles).iter().map(Role::as_str).collect::<Vec<_>>().join(" ")
}

fn read_user(row: &SqliteRow) -> Result<User, RowError> {
    let roles = row.text("roles")?;
    let roles = roles.split(' ').filter(|role| !role.is_empty()).map(Role::new).collect::<Result<_, _>>();
    Ok(User {
        id: row.id("id", UserId::new)?,
        name: row.text("name")?,
        roles: roles.map_err(|error| RowError::Id("roles", error))?,
        disabled: row.flag("disabled")?,
        created_at: row.time("created_at")?,
    })
}
