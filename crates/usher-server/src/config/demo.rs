//! The configuration of `usher demo`: on this machine alone, with a route for each way in and an endpoint for OctoPrint's clients.

use std::net::SocketAddr;
use std::path::Path;

use usher_auth::carriers::Carrier;
use usher_auth::close_code::CloseProfile;
use usher_auth::route::RefuseMode;

use super::{Config, OctoPrint, Room, Route, SockJs};

/// Everything on, for the users alice and bob, remembered in `folder`; `listen` is a loopback address.
pub fn demo(folder: &Path, listen: SocketAddr) -> Config {
    let mut config = Config::default();
    config.server.listen = listen.to_string();
    config.store.url = format!("sqlite://{}", folder.join("usher.db").display());
    config.routes = routes();
    // People open the page by either name.
    let origins = Some(vec![format!("http://{listen}"), format!("http://localhost:{}", listen.port())]);
    for route in &mut config.routes {
        route.origins.clone_from(&origins);
    }
    config.sockjs = Some(SockJs { origins, octoprint: OctoPrint { enabled: true }, ..SockJs::default() });
    config.rooms = vec![Room::open_to("board-*", &["role:user"]), Room::open_to("private-*", &["user:alice"])];
    config
}

fn routes() -> Vec<Route> {
    let at = |path: &str, carriers: &[Carrier]| Route { carriers: carriers.to_vec(), ..Route::at(path) };
    vec![
        Route::at("/ws"),
        at("/ws/ticket", &[Carrier::Ticket]),
        Route { refuse: RefuseMode::Close, ..at("/ws/cookie", &[Carrier::Cookie]) },
        at("/ws/url", &[Carrier::Query, Carrier::Cookie]),
        Route { close_codes: CloseProfile::Policy.into(), ..Route::at("/ws/policy") },
        Route { anonymous: true, ..Route::at("/ws/anonymous") },
    ]
}
