//! A user as OctoPrint's clients want to read them.

use std::collections::BTreeMap;

use serde::Serialize;
use usher_auth::ids::{Role, UserId};
use utoipa::ToSchema;

/// The role that OctoPrint's clients show as administrator.
const ADMIN: &str = "admin";

/// Who logged in, and the key for the socket. Fields that OctoPrint has and Usher has nothing for are there and empty, because
/// clients read them unasked.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "OctoPrint's, not ours")]
pub(super) struct UserAnswer<'a> {
    /// The user's id.
    name: &'a str,
    /// What goes over the socket as `{"auth":"<name>:<session>"}`.
    session: &'a str,
    /// Always true: others are refused.
    active: bool,
    /// Always true.
    user: bool,
    /// Whether the user has the role `admin`.
    admin: bool,
    /// The user's roles.
    roles: Vec<&'a str>,
    /// `admins` and `users`, as OctoPrint calls them.
    groups: &'static [&'static str],
    /// Always empty.
    permissions: [&'static str; 0],
    /// The roles once more, in the form that the web interface compares.
    needs: BTreeMap<&'static str, Vec<&'a str>>,
    /// Always null: an API key is shown once, where it is made.
    apikey: Option<&'static str>,
    /// Always empty.
    settings: BTreeMap<&'static str, &'static str>,
    #[serde(rename = "_is_external_client")]
    is_external_client: bool,
    /// `password`, `apikey` or `authheader`.
    #[serde(rename = "_login_mechanism")]
    login_mechanism: LoginMechanism,
    #[serde(rename = "_credentials_seen")]
    credentials_seen: bool,
}

/// How somebody logged in, in OctoPrint's words.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LoginMechanism {
    /// With a password, now or when the session began.
    Password,
    /// With an API key.
    ApiKey,
    /// With a token.
    AuthHeader,
}

/// Nobody in particular: there is no `name`.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct Guest {
    /// Always empty.
    needs: BTreeMap<&'static str, &'static str>,
    #[serde(rename = "_is_external_client")]
    is_external_client: bool,
    #[serde(rename = "_credentials_seen")]
    credentials_seen: bool,
}

impl<'a> UserAnswer<'a> {
    /// A user with these roles, and what they may show on the socket.
    pub(super) fn new(id: &'a UserId, roles: &'a [Role], session: &'a str, login_mechanism: LoginMechanism) -> Self {
        let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
        let admin = roles.contains(&ADMIN);
        Self {
            name: id.as_str(),
            session,
            active: true,
            user: true,
            admin,
            needs: BTreeMap::from([("role", roles.clone())]),
            roles,
            groups: if admin { &["admins", "users"] } else { &["users"] },
            permissions: [],
            apikey: None,
            settings: BTreeMap::new(),
            is_external_client: false,
            login_mechanism,
            credentials_seen: false,
        }
    }
}
