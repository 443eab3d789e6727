//! Why somebody may or may not do something in a room.

use std::collections::BTreeMap;

use usher_auth::Principal;
use usher_auth::ids::{Role, UserId};
use usher_auth::room::RoomName;

use super::administration::IssuerUsers;
use super::{AdminError, Administration, Explained, ExplainedAction};

impl Administration {
    /// A local user has the roles that we know of. Another issuer's user has the issuer's `default_roles` and those that their token
    /// says, which only the caller can know: `roles` and `claims`. The rules are those in force when this is called.
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
        let issuer = self.issuers.iter().find(|issuer| issuer.has(&user));
        let name = match self.store.user(&user).await? {
            Some(known) => {
                disabled = known.disabled;
                roles.extend(known.roles);
                known.name
            }
            None if user.is_local() => return Err(AdminError::NoSuchUser(user)),
            None => {
                match issuer {
                    Some(issuer) => {
                        lines.push(format!(
                            "{user} is a user of the issuer {}: a token says which other roles and claims they have",
                            issuer.name
                        ));
                    }
                    None => lines.push(format!("no configured issuer has a user {user}: no token lets them in")),
                }
                user.to_string()
            }
        };
        if let Some(issuer) = issuer.filter(|issuer| !issuer.default_roles.is_empty()) {
            let given: Vec<&str> = issuer.default_roles.iter().map(Role::as_str).collect();
            lines.push(format!("every user of {} has the roles: {}", issuer.name, given.join(", ")));
            roles.extend_from_slice(&issuer.default_roles);
        }
        roles.sort();
        roles.dedup();
        let principal = Principal { id: user, name, roles, claims, anonymous: false };
        let decision = self.rooms.policy().explain(&principal, &room, action.into());
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

impl IssuerUsers {
    /// Whether an id of another issuer's user is of this one's. One whose subjects are local users cannot be told by the id.
    fn has(&self, user: &UserId) -> bool {
        let namespace = user.as_str().split_once(':').map(|(namespace, _)| namespace);
        namespace.is_some() && namespace == self.namespace.as_deref()
    }
}
