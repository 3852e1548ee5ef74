//! Lists the files of the SDK and of the pages, so that they are built into the program.
//!
//! Writes one table, in order of path: where a file is served, and its bytes. The SDK's own files are copied without their
//! comments, which stay in the repository and in the types. A directory that is not there adds nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "src/page/bare.rs"]
mod bare;

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut files = Vec::new();
    for (served, source) in SOURCES {
        let source = here.join(source);
        // What is missing now is looked for at each build.
        println!("cargo::rerun-if-changed={}", source.display());
        list(&source, served, &mut files)?;
    }
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut table = String::from("pub(super) const FILES: &[(&str, &[u8])] = &[\n");
    for (served, path) in files {
        let path = if is_of_sdk(&served) { stripped(&path, &out.join(&served))? } else { path };
        // Writing into a string cannot fail.
        _ = writeln!(table, "    ({served:?}, include_bytes!({:?})),", path.display().to_string());
    }
    table.push_str("];\n");
    fs::write(out.join("files.rs"), table)
}

fn list(source: &Path, served: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if source.is_file() {
        files.push((served.to_owned(), source.to_owned()));
    } else if source.is_dir() {
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            list(&entry.path(), &format!("{served}/{}", entry.file_name().to_string_lossy()), files)?;
        }
    }
    Ok(())
}

fn is_of_sdk(served: &str) -> bool {
    served.starts_with("sdk/") && served.ends_with(".js")
}

/// A copy without comments.
fn stripped(source: &Path, copy: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(copy.parent().ok_or(io::ErrorKind::NotFound)?)?;
    fs::write(copy, bare::bare(&fs::read_to_string(source)?))?;
    Ok(copy.to_owned())
}

/// Where files are served, and where they stand.
const SOURCES: &[(&str, &str)] = &[
    ("sdk/tidewire.js", "../sdk/tidewire.js"),
    ("sdk/tidewire.d.ts", "../sdk/tidewire.d.ts"),
    ("sdk/src", "../sdk/src"),
    ("pages", "../sdk/pages"),
];
