//! `cargo xtask reference`: writes the generated pages of docs/reference.
//!
//! The pages come from the registries in the code, so a test of the server's package writes them; the same test fails
//! when a page lags.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::packages;
use crate::workspace::{cargo, complete};

pub(crate) fn reference(arguments: &[String]) -> Result<ExitCode> {
    if !arguments.is_empty() {
        bail!("`cargo xtask reference` takes no argument");
    }
    packages::install(packages::BUILD)?;
    let arguments = ["test", "--release", "--package", "tidewire-server", "--test", "reference", "--quiet"];
    complete(cargo().args(arguments).env("TIDEWIRE_WRITE_REFERENCE", "1"))?;
    Ok(ExitCode::SUCCESS)
}
