//! Every file of every fuzz corpus goes through its target once, on whatever compiler runs the tests.
//!
//! What the fuzzers found, and what they learned, stays tested without them; `cargo xtask fuzz` runs them.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
pub mod targets;

#[test]
fn every_corpus_goes_through_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let files = std::fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!paths.is_empty(), "the corpus of {name} is empty");
        for path in paths {
            // Seen when the test fails.
            eprintln!("{}", path.display());
            target(&std::fs::read(path).unwrap());
        }
    }
}
