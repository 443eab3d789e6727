//! Secrets of ours and ids, as a stranger presents them: what is taken is what was written, of one kind alone, and prints nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_auth::ids::{MAX_ID_BYTES, SessionId, UserId};
use usher_auth::secret::{PlainToken, TOKEN_LENGTH, TokenKind};

const KINDS: [TokenKind; 4] = [TokenKind::Session, TokenKind::Refresh, TokenKind::Ticket, TokenKind::ApiKey];

fuzz_target!(|text: &str| {
    let tokens: Vec<PlainToken> = KINDS.into_iter().filter_map(|kind| PlainToken::parse(kind, text)).collect();
    assert!(tokens.len() <= 1, "two kinds took the same secret (req F11)");
    for token in tokens {
        assert_eq!(token.reveal(), text);
        assert_eq!(token.reveal().len(), TOKEN_LENGTH);
        assert!(token.reveal().bytes().all(|b| b.is_ascii_graphic()), "a secret is printable ASCII");
        assert_eq!(token.hashed(), token.clone().hashed());
        let shown = format!("{token:?} {:?}", token.hashed());
        assert!(!shown.contains(&text[4..]), "Debug shows the secret (req N3)");
    }

    if let Ok(id) = UserId::new(text) {
        assert_eq!(id.as_str(), text);
        assert!((1..=MAX_ID_BYTES).contains(&text.len()));
        assert!(!text.contains(|c: char| c.is_control() || c.is_whitespace()));
        assert_eq!(UserId::local(text).is_ok(), id.is_local());
        assert!(SessionId::new(text).is_ok(), "every id follows the same rules");
    } else {
        assert!(UserId::local(text).is_err(), "a local user id follows the general rules too");
    }
});
