//! Users of other issuers: banned by name, and what a revocation says of their tokens.

use crate::Desk;

const ISSUER: &str = "[[issuers]]\nname = \"myapp\"\nissuer = \"https://app.example\"\naudience = \"chat\"\n\
                      algorithms = [\"HS256\"]\nhmac_secret_file = \"secret\"\n";

#[test]
fn another_issuers_user_is_banned_and_a_revocation_names_the_leeway() {
    // req H3
    let desk = Desk::with(ISSUER);
    let secret = desk.path().join("secret");
    std::fs::write(&secret, "mH2u8QvYk0rT5xw1zC7eB4nP9sL6aJ3dGfVhUoIiRtE=").expect("a file");
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, owner).expect("chmod");
    let usher = |args: &[&str]| desk.usher(&[args, &["--config", "usher.toml"]].concat());
    assert_eq!(desk.add_user("alice").code, 0);

    let done = usher(&["user", "list", "--banned"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert!(done.stderr.contains("no user of another issuer is banned"), "{}", done.stderr);
    assert_eq!(usher(&["user", "ban", "myapp:alice"]).stdout, "banned myapp:alice\n");
    let list = usher(&["user", "list", "--banned"]).stdout;
    assert!(list.starts_with("id           banned\nmyapp:alice  20"), "{list}");
    assert_eq!(usher(&["user", "list", "--banned", "--json"]).stdout.matches("myapp:alice").count(), 1);

    let refused = usher(&["user", "ban", "alice"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("alice is a user of ours: use `usher user disable`"), "{}", refused.stderr);
    // A command that fails has no effects.
    let refused = usher(&["user", "disable", "myapp:bob"]);
    assert_eq!((refused.code, refused.stderr.as_str()), (1, "usher: there is no user myapp:bob\n"));
    assert!(!usher(&["audit", "tail", "--json"]).stdout.contains("myapp:bob"));

    assert_eq!(usher(&["user", "unban", "myapp:alice"]).code, 0);
    assert_eq!(usher(&["user", "unban", "myapp:alice"]).code, 1);

    let revoked = usher(&["session", "revoke", "--user", "myapp:alice"]).stdout;
    assert!(revoked.starts_with("ended 0 sessions and 0 connections of myapp:alice; tokens that"), "{revoked}");
    assert!(revoked.contains("the next 30 s (tokens.leeway)"), "{revoked}");
    // Without a leeway there is none to name.
    std::fs::write(desk.path().join("usher.toml"), format!("[tokens]\nleeway = \"0s\"\n{ISSUER}")).expect("a file");
    assert_eq!(
        usher(&["session", "revoke", "--user", "myapp:alice"]).stdout,
        "ended 0 sessions and 0 connections of myapp:alice; tokens that another issuer gave until now are refused\n"
    );
}
