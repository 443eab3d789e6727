//! Why somebody may or may not do something in a room.

use std::collections::BTreeMap;

use usher_auth::Principal;
use usher_auth::ids::{Role, UserId};
use usher_auth::room::RoomName;

use super::{AdminError, Administration, Explained, ExplainedAction};

impl Administration {
    /// A local user has the roles that we know of. Somebody from another issuer has those that their token says, which only
    /// whoever asks can know: `roles` and `claims`.
    pub(super) async fn explain(
        &self,
        user: UserId,
        mut roles: Vec<Role>,
        claims: BTreeMap<String, Vec<String>>,
        room: &str,
        action: ExplainedAction,
    ) -> Result<Explained, AdminError> {
        let room = RoomName::canonical(room)?;
        let mut lines = Vec::new();
        let mut disabled = false;
        let name = match self.store.user(&user).await? {
            Some(known) => {
                disabled = known.disabled;
                roles.extend(known.roles);
                known.name
            }
            None if user.is_local() => return Err(AdminError::NoSuchUser(user)),
            None => {
                lines.push(format!("{user} is another issuer's user: a token says which roles and claims they have"));
                user.to_string()
            }
        };
        roles.sort();
        roles.dedup();
        let principal = Principal { id: user, name, roles, claims, anonymous: false };
        let decision = self.rooms.explain(&principal, &room, action.into());
        lines.extend(decision.lines);
        if disabled {
            lines.push("the user is disabled: they are let in by nothing".to_owned());
        }
        Ok(Explained {
            allowed: decision.allowed && !disabled,
            room: room.as_str().to_owned(),
            roles: principal.roles,
            lines,
        })
    }
}
