//! Open files: each connection is one, and a process may have so many (`ulimit -n`, `LimitNOFILE=`).
//!
//! The soft limit is raised to the hard one at the start, because it is 1,024 on most machines for programs that know no better. If
//! what is configured does not fit even then, the bounds are lowered until it does, and the operator is told.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use usher_axum::WaitingLimits;

use crate::config::LimitSettings;
use crate::listener::HttpLimits;

/// Files that are kept for what is no client's connection: the store, the audit, keys, the control socket, requests to issuers, the
/// operators' listener, and connections that are accepted to be closed at once.
const RESERVE: usize = 100;
/// Of a small limit, no more than this part is reserved.
const RESERVE_PART: usize = 4;
/// Of what is there for connections, this part is as much as one source may have. One source is never all of it.
const SOURCE_PART: usize = 4;
/// Most connections to the operators' listener. They come out of the reserve, so that operators can look when clients take all else.
const ADMIN_CONNECTIONS: usize = 32;

/// How many files this process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    limit: usize,
}

/// The bounds that are in force, and whether they are the configured ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittedLimits {
    /// Sockets that wait for a first message.
    pub waiting: WaitingLimits,
    /// Sockets that were let in as anonymous.
    pub anonymous: WaitingLimits,
    /// Connections as the clients' listener takes them.
    pub http: HttpLimits,
    /// Connections as the operators' listener takes them.
    pub admin: HttpLimits,
    /// What the operator should know.
    pub warning: Option<String>,
}

impl OpenFiles {
    /// Raises the soft limit to the hard one. Where the system refuses, the soft limit stays what it was.
    pub fn raise() -> io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let raised = soft >= hard || setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        Ok(Self::of(if raised { hard } else { soft }))
    }

    /// What [`Self::raise`] would give. Changes nothing.
    pub fn attainable() -> io::Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self::of(hard))
    }

    fn of(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX) }
    }

    fn reserve(self) -> usize {
        RESERVE.min(self.limit / RESERVE_PART)
    }

    /// Fits the configured limits into what may be open.
    ///
    /// Where they do not fit, an eighth is for connections that are not upgraded, a half for sockets that wait, an eighth for anonymous
    /// ones, and the rest is left for users: those that have not authenticated never crowd out those that have (req E3).
    pub fn fit(self, limits: &LimitSettings) -> FittedLimits {
        let connections = self.limit - self.reserve();
        let http = HttpLimits {
            sockets: connections,
            sockets_per_source: (connections / SOURCE_PART).max(1),
            ..HttpLimits::default()
        };
        let admin_connections = ADMIN_CONNECTIONS.min(self.reserve() / 2).max(1);
        let admin = HttpLimits {
            connections: admin_connections,
            connections_per_source: admin_connections,
            ..HttpLimits::default()
        };
        let LimitSettings { waiting, anonymous, .. } = *limits;
        let parts = [waiting.total, anonymous.total, limits.connections_per_user, http.connections];
        let needed = parts.iter().fold(self.reserve(), |sum, part| sum.saturating_add(*part));
        if needed <= self.limit {
            return FittedLimits { waiting, anonymous, http, admin, warning: None };
        }
        let lower = |limits: WaitingLimits, part: usize| {
            let total = limits.total.min(self.limit / part).max(1);
            WaitingLimits { total, per_ip: limits.per_ip.min((total / SOURCE_PART).max(1)) }
        };
        let lowered = lower(WaitingLimits { total: http.connections, per_ip: http.connections_per_source }, 8);
        let http = HttpLimits { connections: lowered.total, connections_per_source: lowered.per_ip, ..http };
        let (waiting_now, anonymous_now) = (lower(waiting, 2), lower(anonymous, 8));
        let warning = format!(
            "{needed} open files are needed for limits.waiting.total ({}), limits.anonymous.total ({}), limits.connections.per_user ({}), {} \
             connections that are not upgraded and {} files of our own, and {} are allowed: the first two and the connections that are not \
             upgraded are lowered to {}, {} and {}. Allow more (`ulimit -n`, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or \
             configure less",
            waiting.total,
            anonymous.total,
            limits.connections_per_user,
            parts[3],
            self.reserve(),
            self.limit,
            waiting_now.total,
            anonymous_now.total,
            http.connections,
        );
        FittedLimits { waiting: waiting_now, anonymous: anonymous_now, http, admin, warning: Some(warning) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits() -> LimitSettings {
        Config::default().resolve().expect("the default").0.limits
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let configured = limits();
        let fitted = OpenFiles { limit: 1 << 20 }.fit(&configured);
        assert_eq!((fitted.waiting, fitted.anonymous), (configured.waiting, configured.anonymous));
        assert_eq!(fitted.http.connections, HttpLimits::default().connections);
        assert_eq!(fitted.warning, None);
    }

    #[test]
    fn what_does_not_fit_is_lowered_and_said() {
        // req E3
        for limit in [10, 64, 256, 1_024, 4_096, 20_000, 30_000] {
            let fitted = OpenFiles { limit }.fit(&limits());
            let unauthenticated = fitted.waiting.total + fitted.anonymous.total + fitted.http.connections;
            assert!(unauthenticated <= limit * 3 / 4 + 3, "{limit}: {fitted:?}");
            assert!(
                fitted.http.sockets < limit && fitted.http.sockets_per_source <= limit / 4 + 1,
                "{limit}: {fitted:?}"
            );
            for (total, of_one) in [
                (fitted.waiting.total, fitted.waiting.per_ip),
                (fitted.anonymous.total, fitted.anonymous.per_ip),
                (fitted.http.connections, fitted.http.connections_per_source),
            ] {
                assert!(of_one >= 1 && (of_one <= total / 4 || of_one == 1), "{limit}: {fitted:?}");
            }
            let warning = fitted.warning.expect("a warning");
            assert!(warning.contains("limits.waiting.total (10000)") && warning.contains("ulimit -n"), "{warning}");
        }
        assert_eq!(OpenFiles { limit: 20_000 }.fit(&limits()).waiting, WaitingLimits { total: 10_000, per_ip: 1_000 });
    }

    #[test]
    fn the_soft_limit_is_raised() {
        let attainable = OpenFiles::attainable().expect("a limit");
        assert_eq!(OpenFiles::raise().expect("a limit"), attainable);
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert_eq!(OpenFiles::of(soft), attainable);
    }
}
