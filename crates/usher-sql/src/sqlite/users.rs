//! Users.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};
use usher_auth::ids::{Role, UserId};
use usher_auth::user::{PasswordHash, User};
use usher_store::backend::normalised_roles;
use usher_store::{CreateUser, StoreError, UserStore};

use super::SqlStore;
use super::rows::{Columns, During, RowError, read_all, read_one};

#[async_trait]
impl UserStore for SqlStore {
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> Result<CreateUser, StoreError> {
        let context = "adding a user";
        let mut transaction = self.begin(context).await?;
        let inserted = sqlx::query(
            "INSERT INTO users (id, name, roles, disabled, created_at, password_hash) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(&user.name)
        .bind(joined(&user.roles))
        .bind(user.disabled)
        .bind(user.created_at.as_millis())
        .bind(password.map(PasswordHash::as_phc))
        .execute(&mut *transaction)
        .await
        .during(context)?;
        if inserted.rows_affected() == 0 {
            return Ok(CreateUser::Exists);
        }
        remove_belongings(&mut transaction, &user.id, context).await?;
        transaction.commit().await.during(context)?;
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
        let row = sqlx::query("SELECT id, name, roles, disabled, created_at, password_hash FROM users WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(self.reader(context)?)
            .await
            .during(context)?;
        let read =
            |row: &SqliteRow| Ok((read_user(row)?, row.optional_text("password_hash")?.map(PasswordHash::from_phc)));
        read_one(row, read, context)
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

    async fn set_password(&self, id: &UserId, password: &PasswordHash) -> Result<bool, StoreError> {
        let context = "setting a password";
        let updated = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ?")
            .bind(password.as_phc())
            .bind(id.as_str())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(updated.rows_affected() == 1)
    }

    async fn upgrade_password_hash(
        &self,
        id: &UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let context = "hashing a password anew";
        let updated = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?")
            .bind(new.as_phc())
            .bind(id.as_str())
            .bind(old.as_phc())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(updated.rows_affected() == 1)
    }

    async fn set_roles(&self, id: &UserId, roles: &[Role]) -> Result<bool, StoreError> {
        let context = "setting a user's roles";
        let updated = sqlx::query("UPDATE users SET roles = ? WHERE id = ?")
            .bind(joined(roles))
            .bind(id.as_str())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(updated.rows_affected() == 1)
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        let context = "disabling or enabling a user";
        let updated = sqlx::query("UPDATE users SET disabled = ? WHERE id = ?")
            .bind(disabled)
            .bind(id.as_str())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(updated.rows_affected() == 1)
    }

    async fn delete_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let context = "removing a user";
        let mut transaction = self.begin(context).await?;
        let deleted = sqlx::query("DELETE FROM users WHERE id = ?")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .during(context)?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        remove_belongings(&mut transaction, id, context).await?;
        transaction.commit().await.during(context)?;
        Ok(true)
    }
}

/// Remove a user's sessions, refresh tokens (with their session), API keys and known addresses.
async fn remove_belongings(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &UserId,
    context: &'static str,
) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM sessions WHERE user_id = ?",
        "DELETE FROM api_keys WHERE user_id = ?",
        "DELETE FROM known_addresses WHERE user_id = ?",
    ] {
        sqlx::query(statement).bind(id.as_str()).execute(&mut **transaction).await.during(context)?;
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
