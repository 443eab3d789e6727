//! Passwords: hashed with Argon2id away from the async threads, and judged before they are set (req K1, K3, K4).

mod argon2id;

pub use argon2id::needs_rehash;

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::sync::{Semaphore, oneshot};
use usher_auth::Randomness;
use usher_auth::user::PasswordHash;
use zeroize::Zeroizing;

use argon2id::HashMemory;

/// How many may wait for each that is being hashed. With more than that a log-in would wait for seconds: it is told to come
/// back instead.
const WAITING_PER_RUNNING: usize = 32;

/// Fewest characters of a new password.
pub const MIN_PASSWORD_CHARS: usize = 8;
/// A password that falls within fewer tries than a million (10 to this) is refused: ten tries a minute, which is what an account
/// takes, would not find it in two months.
const MIN_GUESSES_LOG10: f64 = 6.0;
/// How much of a password is judged.
const MAX_JUDGED_BYTES: usize = 100;
/// Most bytes of a new password.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Hashes and verifies passwords. A cheap handle; only so many run at once, and only so many wait.
#[derive(Clone)]
pub struct PasswordHasher {
    shared: Arc<Shared>,
}

struct Shared {
    /// To the threads that hash. No more is in it than is admitted.
    work: mpsc::Sender<Work>,
    /// One permit for each that runs or waits to.
    admitted: Arc<Semaphore>,
    /// How many run at once.
    concurrency: usize,
    /// The hash of a password that nobody has.
    dummy: PasswordHash,
    randomness: Arc<dyn Randomness>,
}

/// What a thread is to do, and to answer to whoever waits for it.
type Work = Box<dyn FnOnce(&mut HashMemory) + Send>;

/// Too many passwords are being hashed; come back in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at once")]
pub struct Busy;

/// Why a password may not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnacceptablePassword {
    /// Fewer than [`MIN_PASSWORD_CHARS`].
    #[error("a password needs at least {MIN_PASSWORD_CHARS} characters; 15 or more are better")]
    TooShort,
    /// More than [`MAX_PASSWORD_BYTES`].
    #[error("a password may have at most {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// Among the first that a guesser tries.
    #[error(
        "this password is among the first that anybody would try: use several words that have nothing to do with each other"
    )]
    Guessable,
}

/// Whether `password` may be set for the user of that id (req K4). Any characters will do; nothing about it is changed.
///
/// What a guesser tries first is zxcvbn's to say: it knows 30,000 common passwords, names and words, keyboard runs, repetitions
/// and the usual disguises, and counts the tries.
pub fn check_new_password(password: &str, user_id: &str) -> Result<(), UnacceptablePassword> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        return Err(UnacceptablePassword::TooShort);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(UnacceptablePassword::TooLong);
    }
    // What says most is said in the beginning, and looking at all of a long text takes long.
    let beginning = &password[..password.floor_char_boundary(MAX_JUDGED_BYTES)];
    if zxcvbn::zxcvbn(beginning, &[user_id]).guesses_log10() < MIN_GUESSES_LOG10 {
        return Err(UnacceptablePassword::Guessable);
    }
    Ok(())
}

impl PasswordHasher {
    /// At most `concurrency` hashes run at once; as each fills a core and 19 MiB, the number of cores is a good choice.
    ///
    /// They run on so many threads of their own, each with memory that it keeps: taken from the allocator for each hash, a burst of
    /// log-ins would leave hundreds of MiB behind.
    ///
    /// # Panics
    /// When the system has no threads to give.
    pub fn new(concurrency: usize, randomness: Arc<dyn Randomness>) -> Self {
        let concurrency = concurrency.max(1);
        let places = concurrency * (1 + WAITING_PER_RUNNING);
        let (work, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..concurrency {
            let queue = queue.clone();
            let thread = thread::Builder::new().name("usher-passwords".to_owned());
            thread.spawn(move || hash_until_the_end(&queue)).expect("the system gives a thread");
        }
        let nobodys = Zeroizing::new(randomness.bytes::<32>());
        let dummy = HashMemory::default().hash(&*nobodys, &randomness.bytes());
        Self {
            shared: Arc::new(Shared {
                work,
                admitted: Arc::new(Semaphore::new(places)),
                concurrency,
                dummy,
                randomness,
            }),
        }
    }

    /// How many run at once.
    pub fn concurrency(&self) -> usize {
        self.shared.concurrency
    }

    /// How many may wait beside those. With more, a log-in would wait for seconds.
    pub fn most_waiting(&self) -> usize {
        self.shared.concurrency * WAITING_PER_RUNNING
    }

    /// Whether `password` is the one that was hashed. Without a hash (there is no such user, or they have no password) the answer
    /// is no, and takes as long (req K3).
    pub async fn verify(&self, password: Zeroizing<String>, hash: Option<PasswordHash>) -> Result<bool, Busy> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.shared.dummy.clone());
        let matches = self.run(move |memory| memory.verify(password.as_bytes(), &hash)).await?;
        Ok(known && matches)
    }

    /// The hash of a new password. Whether it may be set is asked with [`check_new_password`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<PasswordHash, Busy> {
        let salt = self.shared.randomness.bytes();
        self.run(move |memory| memory.hash(password.as_bytes(), &salt)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let admitted = self.shared.admitted.clone().try_acquire_owned().map_err(|_| Busy)?;
        let (answer, answered) = oneshot::channel();
        // The permit travels with the work: whoever gives up waiting for the answer does not make room for one hash more.
        let work = Box::new(move |memory: &mut HashMemory| {
            let result = (!answer.is_closed()).then(|| work(memory));
            // Before the answer: whoever has it may ask for the next.
            drop(admitted);
            if let Some(result) = result {
                let _ = answer.send(result);
            }
        });
        self.shared.work.send(work).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }
}

/// A thread's life: it ends with the last handle to the hasher.
fn hash_until_the_end(queue: &Mutex<mpsc::Receiver<Work>>) {
    let mut memory = HashMemory::default();
    loop {
        // One waits for work, and the others for their turn to wait.
        let work = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        // Whoever waited for work that panicked is told that nobody answered; the next in the queue is not.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| work(&mut memory)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Randomness for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn hasher(concurrency: usize) -> PasswordHasher {
        PasswordHasher::new(concurrency, Arc::new(Fixed))
    }

    fn text(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.to_owned())
    }

    #[tokio::test]
    async fn passwords_are_verified_unmodified() {
        // req K4
        let hasher = hasher(2);
        let long = "x".repeat(64);
        for password in [long.as_str(), "pass wörd ☃", "trailing space ", "a nul \0 in it"] {
            let hash = hasher.hash(text(password)).await.expect("not busy");
            assert_eq!(hasher.verify(text(password), Some(hash.clone())).await, Ok(true), "{password:?}");
            let mut shorter = password.to_owned();
            shorter.pop();
            for other in [password.to_uppercase(), format!("{password} "), shorter] {
                assert_eq!(hasher.verify(text(&other), Some(hash.clone())).await, Ok(false), "{other:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_hash_names_its_parameters_and_ages() {
        // req K1
        let hash = hasher(1).hash(text("correct horse battery")).await.expect("not busy");
        assert!(hash.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_phc());
        assert!(!needs_rehash(&hash));
        for other in ["m=19456,t=1,p=1", "m=9216,t=4,p=1", "m=47104,t=1,p=1"] {
            assert!(needs_rehash(&PasswordHash::from_phc(hash.as_phc().replace("m=19456,t=2,p=1", other))), "{other}");
        }
        assert!(needs_rehash(&PasswordHash::from_phc(hash.as_phc().replace("argon2id", "argon2i"))));
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        // req K3
        let hasher = hasher(1);
        assert_eq!(hasher.verify(text("anything"), None).await, Ok(false));
        // Nor does the very password whose hash stands in for nobody's open anything.
        let sevens = String::from_utf8(vec![7; 32]).expect("ASCII");
        assert_eq!(hasher.verify(text(&sevens), None).await, Ok(false));
        assert_eq!(hasher.verify(text("x"), Some(PasswordHash::from_phc("no hash"))).await, Ok(false));
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away_and_not_kept_waiting_without_end() {
        // req K1
        let hasher = hasher(1);
        let mut verdicts = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let hasher = hasher.clone();
            tasks.spawn(async move { hasher.verify(text("x"), None).await });
        }
        while let Some(verdict) = tasks.join_next().await {
            verdicts.push(verdict.expect("no panic"));
        }
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Err(Busy)).count(), 40 - 1 - WAITING_PER_RUNNING);
    }

    #[tokio::test]
    async fn work_that_panics_ends_alone() {
        // req O6
        let hasher = hasher(1);
        assert_eq!(hasher.run(|_| panic!("on purpose")).await, Err::<(), Busy>(Busy));
        assert_eq!(hasher.verify(text("x"), None).await, Ok(false), "the thread goes on");
        assert_eq!(hasher.shared.admitted.available_permits(), hasher.concurrency() + hasher.most_waiting());
    }

    #[test]
    fn obvious_passwords_are_refused() {
        const LONG: &str = "a sentence of many quite different words that nobody would have put together before today";
        // req K4
        let check = |password: &str| check_new_password(password, "alice-in-wonderland");
        assert_eq!(check("short 7"), Err(UnacceptablePassword::TooShort));
        assert_eq!(check(&"x1".repeat(513)), Err(UnacceptablePassword::TooLong));
        assert_eq!(check("Alice-in-Wonderland"), Err(UnacceptablePassword::Guessable));
        for common in [
            "password123",
            "Password123!",
            "12345678",
            "qwertyuiop",
            "aaaaaaaaaa",
            "letmein!",
            "Welcome2026",
            "changeme",
        ] {
            assert_eq!(check(common), Err(UnacceptablePassword::Guessable), "{common}");
        }
        for good in ["correct horse battery staple", "ünïcödé snowman ☃", "9f86d081884c7d65", LONG] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }
}
