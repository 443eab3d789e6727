//! What a stranger says over `SockJS`: never a panic, nobody is in before a verdict, and the log's shape shows nothing that was sent.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use usher_auth::carriers::{Carrier, Presented};
use usher_auth::close_code::CloseCodes;
use usher_auth::connection::{Action, Connection, Recipient};
use usher_auth::ids::ConnectionId;
use usher_auth::origin::AllowedOrigins;
use usher_auth::protocol::{Received, SockJsDialect};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::{FirstMessageRules, ReauthRules, RefuseMode, RouteRules};
use usher_auth::wire::{Mistake, shape};
use usher_auth::{Now, UnixTime};

const NOW: Now = Now { monotonic: std::time::Duration::from_mins(1), unix: UnixTime::from_seconds(1_760_000_000) };
/// Each makes another endpoint: lenient or not, for `OctoPrint`'s clients or not.
static RULES: LazyLock<Vec<Arc<RouteRules>>> = LazyLock::new(|| {
    let each = [(true, true), (true, false), (false, true), (false, false)];
    each.map(|(lenient, octoprint)| Arc::new(rules(SockJsDialect { lenient, octoprint }))).into()
});

fn rules(sockjs: SockJsDialect) -> RouteRules {
    RouteRules {
        path: "/sockjs".to_owned(),
        carriers: [Carrier::Sockjs].into_iter().collect(),
        anonymous: false,
        origins: AllowedOrigins::default(),
        cookie_name: "usher".to_owned(),
        max_age: None,
        reauth: ReauthRules::default(),
        heartbeat: None,
        first_message: FirstMessageRules::default(),
        refuse: RefuseMode::Auto,
        close_codes: CloseCodes::default(),
        max_message_bytes: 64 * 1024,
        protocol: sockjs.protocol(),
    }
}

fuzz_target!(|text: &str| {
    // What a shape may be made of: none of it is a letter or digit that was sent.
    let shown = shape(text);
    assert!(shown.len() < 2_000, "{shown}");
    for rules in RULES.iter() {
        for unwrapped in [None, Some(Mistake::NotJson), Some(Mistake::NotWrapped), Some(Mistake::ItemsNotStrings)] {
            let nothing = Presented::Nothing(Refusal::new(RefusalKind::MissingCredential, ""));
            let id = ConnectionId::from_random([7; 16]);
            let mut connection = Connection::begin(id, rules.clone(), Ok(nothing), false, NOW);
            let received = match unwrapped {
                None => Received::Text(text),
                Some(mistake) => Received::Misframed(mistake, text),
            };
            assert_eq!(connection.handle_message(NOW, received), Recipient::Connection);
            assert!(connection.permit().is_none());
            let (mut answers, mut asked) = (0, false);
            while let Some(action) = connection.poll_action() {
                match action {
                    Action::Send(_) | Action::Close { .. } => answers += 1,
                    Action::Verify(_) => asked = true,
                    Action::Opened | Action::Admit(_) => panic!("{action:?} without a verdict"),
                    _ => {}
                }
            }
            // Never silence: but for what OctoPrint's clients say in passing, whose greeting is the one answer.
            assert!(asked || answers > 0);
        }
    }
});
