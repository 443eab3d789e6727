//! Rooms, presence and fan-out, with the Bus trait and its in-process implementation.
