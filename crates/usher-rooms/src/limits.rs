//! The bounds of rooms.

use std::time::Duration;

/// Bounds, each with what happens when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Most rooms one connection is in at a time. One more is refused with `too_many_rooms`; the connection goes on.
    pub rooms_per_connection: usize,
    /// Most users that `members` lists, and most that come and go one by one. In a larger room, changes are told by one update of
    /// the number of viewers each [`RoomLimits::update_interval`].
    pub members_listed: usize,
    /// Least time between two updates of a larger room. Changes within it are told together.
    pub update_interval: Duration,
}

impl RoomLimits {
    /// The default of [`RoomLimits::rooms_per_connection`].
    pub const DEFAULT_ROOMS_PER_CONNECTION: usize = 128;
    /// The default of [`RoomLimits::members_listed`].
    pub const DEFAULT_MEMBERS_LISTED: usize = 100;
    /// The default of [`RoomLimits::update_interval`].
    pub const DEFAULT_UPDATE_INTERVAL: Duration = Duration::from_secs(1);
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            rooms_per_connection: Self::DEFAULT_ROOMS_PER_CONNECTION,
            members_listed: Self::DEFAULT_MEMBERS_LISTED,
            update_interval: Self::DEFAULT_UPDATE_INTERVAL,
        }
    }
}
