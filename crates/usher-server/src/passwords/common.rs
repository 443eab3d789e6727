//! The passwords that everybody tries first.

/// Whether `password` is one of the obvious ones: a common password, a common word with digits or marks behind it, a run of
/// neighbouring characters, or one character again and again.
pub(super) fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let word = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation());
    PASSWORDS.contains(&lower.as_str()) || WORDS.contains(&word) || is_run(&lower)
}

/// Whether each character is the one before it, or its neighbour in the same direction all along.
fn is_run(password: &str) -> bool {
    let steps = password.chars().zip(password.chars().skip(1)).map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)));
    let mut steps = steps.peekable();
    let first = steps.peek().copied();
    first.is_some_and(|first| (-1..=1).contains(&first)) && steps.all(|step| Some(step) == first)
}

/// Words that stay obvious whatever digits and marks follow them.
const WORDS: [&str; 97] = [
    "access", "admin", "administrator", "adminadmin", "alexander", "amanda", "andrew", "angel", "arsenal", "ashley", "baseball",
    "basketball", "batman", "blink", "butterfly", "changeit", "changeme", "charlie", "chelsea", "chocolate", "computer",
    "cookie", "daniel", "default", "demo", "donald", "dragon", "everything", "flower", "football", "forever", "freedom",
    "friends", "george", "google", "guest", "hannah", "hello", "hockey", "hunter", "iloveyou", "internet", "jennifer",
    "jessica", "jordan", "joshua", "letmein", "letmeinplease", "liverpool", "login", "london", "lovely", "loveyou", "lovers",
    "master", "matrix", "maverick", "michael", "michelle", "monkey", "mustang", "nicole", "nothing", "passphrase", "passw0rd",
    "password", "passwort", "passwords", "pa$$w0rd", "p@ssw0rd", "p@ssword", "patrick", "pokemon", "princess", "qazwsx",
    "qwert", "qwerty", "qwertz", "ranger", "root", "rootroot", "samsung", "secret", "secretpassword", "shadow", "starwars",
    "summer", "sunshine", "superman", "temp", "temporary", "test", "testtest", "trustno", "user", "usher", "welcome",
];

/// Passwords that are obvious as they are.
const PASSWORDS: [&str; 104] = [
    "00000000", "01234567", "0123456789", "09876543", "0987654321", "10203040", "101010101", "11112222", "11223344",
    "1122334455", "112233445566", "12121212", "123123123", "123321123", "12341234", "1234512345", "123456123", "1234567890",
    "12345678910", "12345679", "123456aa", "123456abc", "123456qwerty", "1234abcd", "1234qwer", "123654789", "123698745",
    "123abc123", "123qwe123", "123qweasd", "123qweasdzxc", "12qwaszx", "13131313", "13579246", "135792468", "147258369",
    "147852369", "159357159", "159753456", "19841984", "1a2b3c4d", "1a2b3c4d5e", "1g2w3e4r", "1q2w3e4r", "1q2w3e4r5t",
    "1q2w3e4r5t6y", "1qaz1qaz", "1qaz2wsx", "1qaz2wsx3edc", "1qazxsw2", "20202020", "22446688", "23232323", "31415926",
    "314159265", "741852963", "75395146", "78945612", "789456123", "852456789", "87654321", "88888888", "963852741",
    "987654321", "a1234567", "a12345678", "a1b2c3d4", "a1b2c3d4e5", "aa123456", "aa12345678", "abc12345", "abc123456",
    "abc123abc", "abcd1234", "abcde12345", "abcdef123", "admin1234", "asd12345", "asdasd123", "asdasdasd", "asdf1234",
    "asdfasdf", "asdfghjk", "asdfghjkl", "asdfghjkl;", "azertyuiop", "correcthorsebatterystaple", "leetspeak1337", "n0th1ng!",
    "pass1234", "pass12345", "pass@123", "q1w2e3r4", "q1w2e3r4t5", "qwaszx12", "qweasdzxc", "qwer1234", "qwerasdf",
    "qwertyui", "qwertyuiop", "qwertzuiop", "welcome@123", "zaq12wsx", "zxcvbnm123",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_of_the_obvious_are_obvious() {
        // req K4
        for password in ["password", "PASSWORD1!", "abcdefgh", "87654321", "zzzzzzzz", "Admin2024!!", "1q2w3e4r"] {
            assert!(is_common(password), "{password}");
        }
        for password in ["passwordless-entry", "a-strange-phrase", "ababababc", "tr0ub4dor&3x"] {
            assert!(!is_common(password), "{password}");
        }
    }

    #[test]
    fn every_entry_could_be_a_password() {
        assert!(PASSWORDS.iter().all(|password| password.len() >= super::super::MIN_PASSWORD_CHARS));
        assert!(WORDS.iter().chain(&PASSWORDS).all(|word| *word == word.to_lowercase()));
    }
}
