//! Standard output: what was asked for, and nothing else.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes text as it is. A reader that went away (`tidewire settings | head`) is an error like any other.
pub(crate) fn print(text: &impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}
