//! The page and the table, from the results alone.

mod chart;
mod figures;
mod page;
mod table;

pub(crate) use page::write_page;
pub(crate) use table::terminal_table;
