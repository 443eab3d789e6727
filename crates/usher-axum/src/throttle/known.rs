//! The addresses that accounts were used from: what keeps an account open to its owner while others guess its password.
//!
//! They survive a restart as keyed hashes, so that the store alone tells no one where a user was. They are written behind: whoever
//! owns this takes what is new now and then, and puts it back if the store does not take it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use usher_auth::UnixTime;
use usher_auth::ids::UserId;
use usher_store::{HashedAddress, KnownAddress, KnownAddressBounds};

/// How long an account stays open to a source after it was used from there.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// A use that comes so soon after the last one that was noted is not noted again.
const NOTED_EVERY: Duration = Duration::from_hours(24);

/// Sources by account.
pub(super) struct KnownAddresses {
    key: hmac::Key,
    bounds: KnownAddressBounds,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// The sources of each account; the one used last is the last.
    accounts: HashMap<UserId, Vec<Known>>,
    count: usize,
    /// What the store has not been given.
    unsaved: HashMap<(UserId, HashedAddress), UnixTime>,
}

#[derive(Clone, Copy)]
struct Known {
    address: HashedAddress,
    seen_at: UnixTime,
}

impl fmt::Debug for KnownAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownAddresses(…)")
    }
}

impl KnownAddresses {
    pub(super) fn new(key: &[u8; 32], bounds: KnownAddressBounds) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), bounds, table: Mutex::default() }
    }

    /// Whether `account` was used from `source` lately.
    pub(super) fn contains(&self, account: &str, source: IpAddr, now: UnixTime) -> bool {
        // Most names that are guessed are no account's, and cost no hash.
        if !self.table.lock().accounts.contains_key(account) {
            return false;
        }
        let address = self.hashed(account, source);
        let table = self.table.lock();
        let known = table.accounts.get(account).into_iter().flatten();
        known.into_iter().any(|known| known.address == address && now.since(known.seen_at) < KNOWN_FOR)
    }

    /// `user` proved a password from `source`.
    pub(super) fn note(&self, user: &UserId, source: IpAddr, now: UnixTime) {
        let address = self.hashed(user.as_str(), source);
        let mut table = self.table.lock();
        let (news, fresh) = table.use_now(user, address, now, self.bounds.per_user);
        if news {
            table.unsaved.insert((user.clone(), address), now);
        }
        if fresh && table.count > self.bounds.total {
            table.make_room(self.bounds.total);
        }
    }

    /// Take in what the store remembers, the oldest first.
    pub(super) fn load(&self, addresses: Vec<KnownAddress>) {
        let mut table = self.table.lock();
        for KnownAddress { user, address, seen_at } in addresses {
            table.use_now(&user, address, seen_at, self.bounds.per_user);
        }
        if table.count > self.bounds.total {
            table.make_room(self.bounds.total);
        }
    }

    /// How many there are that the store has not been given yet.
    pub(super) fn unsaved(&self) -> usize {
        self.table.lock().unsaved.len()
    }

    /// What the store has not been given yet. It counts as given until it is put back.
    pub(super) fn take_unsaved(&self) -> Vec<KnownAddress> {
        let unsaved = std::mem::take(&mut self.table.lock().unsaved);
        unsaved.into_iter().map(|((user, address), seen_at)| KnownAddress { user, address, seen_at }).collect()
    }

    /// The store did not take these.
    pub(super) fn put_back(&self, addresses: Vec<KnownAddress>) {
        let mut table = self.table.lock();
        for KnownAddress { user, address, seen_at } in addresses {
            // Not what was forgotten meanwhile, so that there is never more here than is known.
            let known = table.accounts.get(&user).is_some_and(|known| known.iter().any(|one| one.address == address));
            if known {
                table.unsaved.entry((user, address)).or_insert(seen_at);
            }
        }
    }

    /// The account is gone.
    pub(super) fn forget(&self, user: &UserId) {
        let mut table = self.table.lock();
        table.count -= table.accounts.remove(user).map_or(0, |known| known.len());
        table.unsaved.retain(|(of, _), _| of != user);
    }

    /// Another hash for each account, so that the store does not tell which accounts share an address.
    fn hashed(&self, account: &str, source: IpAddr) -> HashedAddress {
        let mut context = hmac::Context::with_key(&self.key);
        // What comes before it has one length, so that nothing of the account can be taken for part of the address.
        match source {
            IpAddr::V4(address) => context.update(&address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => context.update(&address.octets()),
        }
        context.update(account.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        HashedAddress::from_bytes(bytes)
    }
}

impl Table {
    /// Whether the store should hear of it, and whether it is one more.
    fn use_now(&mut self, user: &UserId, address: HashedAddress, now: UnixTime, most: usize) -> (bool, bool) {
        let sources = self.accounts.entry(user.clone()).or_default();
        if let Some(index) = sources.iter().position(|known| known.address == address) {
            let mut known = sources.remove(index);
            let news = now.since(known.seen_at) >= NOTED_EVERY;
            if news {
                known.seen_at = now;
            }
            sources.push(known);
            return (news, false);
        }
        sources.push(Known { address, seen_at: now });
        self.count += 1;
        if sources.len() > most {
            let oldest = sources.remove(0);
            self.count -= 1;
            self.unsaved.remove(&(user.clone(), oldest.address));
        }
        (true, true)
    }

    /// Forgets the tenth that was used longest ago, so that this does not happen at each new address.
    fn make_room(&mut self, most: usize) {
        let mut moments: Vec<UnixTime> = self.accounts.values().flatten().map(|known| known.seen_at).collect();
        let goes = (moments.len() + most / 10).saturating_sub(most).min(moments.len());
        if goes == 0 {
            return;
        }
        let (_, last, _) = moments.select_nth_unstable(goes - 1);
        let (last, mut left) = (*last, goes);
        let unsaved = &mut self.unsaved;
        self.accounts.retain(|user, sources| {
            sources.retain(|known| {
                let goes = known.seen_at <= last && left > 0;
                if goes {
                    left -= 1;
                    unsaved.remove(&(user.clone(), known.address));
                }
                !goes
            });
            !sources.is_empty()
        });
        self.count -= goes - left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_760_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn user(number: usize) -> UserId {
        UserId::new(format!("user-{number}")).expect("an id")
    }

    fn source(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(number).expect("a small number").to_be_bytes())
    }

    fn known(bounds: KnownAddressBounds) -> KnownAddresses {
        KnownAddresses::new(&[7; 32], bounds)
    }

    #[test]
    fn an_address_is_known_to_its_account_alone_and_not_for_ever() {
        // req K2
        let known = known(KnownAddressBounds::default());
        known.note(&user(1), source(1), NOW);
        assert!(known.contains("user-1", source(1), NOW));
        assert!(!known.contains("user-1", source(2), NOW));
        assert!(!known.contains("user-2", source(1), NOW));
        assert!(known.contains("user-1", source(1), NOW.plus(KNOWN_FOR.saturating_sub(DAY))));
        assert!(!known.contains("user-1", source(1), NOW.plus(KNOWN_FOR)));
        known.forget(&user(1));
        assert!(!known.contains("user-1", source(1), NOW));
        assert!(known.take_unsaved().is_empty());
    }

    #[test]
    fn the_store_hears_of_a_use_once_a_day() {
        let known = known(KnownAddressBounds::default());
        for _ in 0..100 {
            known.note(&user(1), source(1), NOW);
        }
        let unsaved = known.take_unsaved();
        assert_eq!((unsaved.len(), &unsaved[0].user, unsaved[0].seen_at), (1, &user(1), NOW));
        known.note(&user(1), source(1), NOW.plus(DAY / 2));
        assert!(known.take_unsaved().is_empty());
        known.note(&user(1), source(1), NOW.plus(DAY));
        assert_eq!(known.take_unsaved()[0].seen_at, NOW.plus(DAY));
    }

    #[test]
    fn what_the_store_did_not_take_is_offered_again() {
        let known = known(KnownAddressBounds::default());
        for number in 1..=3 {
            known.note(&user(number), source(number), NOW);
        }
        let unsaved = known.take_unsaved();
        known.forget(&user(2));
        known.put_back(unsaved);
        let mut again: Vec<UserId> = known.take_unsaved().into_iter().map(|address| address.user).collect();
        again.sort();
        assert_eq!(again, [user(1), user(3)], "and not what was forgotten meanwhile");
    }

    #[test]
    fn what_was_saved_is_known_after_a_restart() {
        // req K2
        let before = known(KnownAddressBounds::default());
        before.note(&user(1), source(1), NOW);
        let saved = before.take_unsaved();
        let after = known(KnownAddressBounds::default());
        after.load(saved.clone());
        assert!(after.contains("user-1", source(1), NOW));
        assert!(after.take_unsaved().is_empty());
        let other_key = KnownAddresses::new(&[8; 32], KnownAddressBounds::default());
        other_key.load(saved);
        assert!(!other_key.contains("user-1", source(1), NOW), "without the key a row names no address");
    }

    #[test]
    fn an_account_and_all_of_them_have_so_many() {
        let known = known(KnownAddressBounds { per_user: 4, total: 20 });
        for number in 0..100 {
            known.note(&user(1), source(number), NOW.plus(Duration::from_secs(number as u64)));
            known.note(&user(1), source(1_000), NOW.plus(Duration::from_secs(number as u64)));
        }
        assert!(known.contains("user-1", source(1_000), NOW), "one that is used again and again stays");
        assert!(known.contains("user-1", source(99), NOW) && !known.contains("user-1", source(90), NOW));
        assert_eq!(known.take_unsaved().len(), 4);
        for number in 2..1_000 {
            known.note(&user(number), source(1), NOW.plus(Duration::from_secs(1_000 + number as u64)));
        }
        let table = known.table.lock();
        let held: usize = table.accounts.values().map(Vec::len).sum();
        assert!(held <= 20 && held == table.count && table.unsaved.len() <= 20, "{held} {}", table.count);
        assert!(table.accounts.contains_key(&user(999)) && !table.accounts.contains_key(&user(1)));
    }
}
