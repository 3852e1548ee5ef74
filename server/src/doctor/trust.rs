//! What keeps strangers out: the certificate, the secrets, the keys of applications.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::finding::Finding;
use crate::applications::Known;
use crate::settings::{Secret, Settings, Tls};
use crate::tls;

pub(super) fn tls(settings: &Settings) -> Vec<Finding> {
    let is_local = settings.listen.ip().is_loopback();
    if let Err(error) = tls::config(&settings.tls, &[]) {
        return vec![Finding::broken(
            "certificate",
            format!("{error:#}"),
            "the start fails",
            "Mend or exchange the files",
        )];
    }
    match &settings.tls {
        Tls::Files { certificate, .. } => vec![judge_end(end_of(certificate), now())],
        Tls::SelfSigned => vec![judge_without_file("made at each start", is_local, "browsers warn of it")],
        Tls::Off => {
            let costs = "browsers on other machines open neither camera nor microphone, and tokens travel in the clear";
            vec![judge_without_file("none, HTTP only", is_local, costs)]
        }
    }
}

pub(super) fn secrets(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![judge_default(settings)];
    for entry in &settings.applications {
        let secrets = entry.secret.iter().chain(&entry.secret_previous);
        // The weakest decides, since either opens the door.
        let judged = secrets.map(|secret| judge_secret(&format!("application {}", entry.id), secret.as_bytes()));
        findings.extend(judged.max_by_key(|finding| finding.grade));
    }
    if let Err(error) = Known::read(settings) {
        findings.push(Finding::broken(
            "applications",
            format!("{error:#}"),
            "the start fails",
            "Mend the file, or take the table out",
        ));
    }
    findings
}

fn judge_default(settings: &Settings) -> Finding {
    let has_own = settings.applications.iter().any(|entry| entry.id.as_str() == "default");
    match &settings.secret {
        Secret::Given(secret) => judge_secret("given", secret),
        Secret::Random(_) if has_own => Finding::ok("secret", "application default has its own keys"),
        Secret::Random(_) if settings.listen.ip().is_loopback() => {
            Finding::ok("secret", "made at each start; the page makes its own tokens")
        }
        Secret::Random(_) => {
            let mend = "export TIDEWIRE_SECRET=$(openssl rand -base64 32)";
            Finding::could("secret", "made at each start", "nobody can make a token, so nobody can come in", mend)
        }
    }
}

/// From one token a secret can be guessed at leisure, far from here, so it has to be out of reach of guessing.
fn judge_secret(whose: &str, secret: &[u8]) -> Finding {
    let fact = format!("{whose}, {} bytes", secret.len());
    let mend = "Take what `openssl rand -base64 32` prints";
    let kinds = secret.iter().collect::<std::collections::BTreeSet<_>>().len();
    match secret.len() {
        0..SECRET_LEN_LEAST => {
            Finding::broken("secret", fact, "who has one token can guess it, and make any other", mend)
        }
        _ if kinds < SECRET_KINDS_MIN => {
            let fact = format!("{fact}, of {kinds} different ones");
            Finding::broken("secret", fact, "who has one token can guess it, and make any other", mend)
        }
        SECRET_LEN_LEAST..SECRET_LEN_GOOD => Finding::could("secret", fact, "shorter ones are easier to guess", mend),
        _ => Finding::ok("secret", fact),
    }
}

fn judge_without_file(fact: &str, is_local: bool, costs: &str) -> Finding {
    if is_local {
        return Finding::ok("certificate", format!("{fact}, and only this machine is served"));
    }
    Finding::could("certificate", fact, costs, "Set tls-cert and tls-key")
}

/// When the first certificate of a file ends, since 1970.
fn end_of(path: &Path) -> Option<Duration> {
    let der = CertificateDer::from_pem_file(path).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}

fn judge_end(end: Option<Duration>, now: Duration) -> Finding {
    let Some(end) = end else { return Finding::ok("certificate", "from a file; when it ends cannot be read") };
    let days = |time: Duration| time.as_secs() / (24 * 60 * 60);
    match end.checked_sub(now) {
        None => {
            let fact = format!("ended {} days ago", days(now - end));
            Finding::broken("certificate", fact, "browsers refuse to connect", "Renew it, and start again")
        }
        Some(left) if left < RENEW_BEFORE => {
            let fact = format!("ends in {} days", days(left));
            Finding::could("certificate", fact, "after that browsers refuse to connect", "Renew it, and start again")
        }
        Some(left) => Finding::ok("certificate", format!("good for {} days", days(left))),
    }
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// 128 bits, written in hexadecimal or better.
const SECRET_LEN_LEAST: usize = 16;

/// RFC 7518 3.2: a key for HS256 has at least the size of its hash.
const SECRET_LEN_GOOD: usize = 32;

/// Random bytes of the least length have more kinds but once in many lifetimes.
const SECRET_KINDS_MIN: usize = 6;

/// Those who renew by themselves do so 30 days before the end; when two weeks are left it went wrong.
const RENEW_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn secrets_are_judged_by_length_and_variety_and_never_shown() {
        for (secret, grade) in [
            ("hunter2", Grade::Broken),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Grade::Broken),
            ("0123456789abcdef", Grade::CouldBeBetter),
            ("a secret of thirty-two bytes, no less", Grade::Ok),
        ] {
            let finding = judge_secret("given", secret.as_bytes());
            assert_eq!(finding.grade, grade, "{secret}");
            assert!(!format!("{finding:?}").contains(secret));
        }
    }

    #[test]
    fn certificate_is_judged_by_the_days_it_has() {
        let day = Duration::from_secs(24 * 60 * 60);
        for (end, grade) in
            [(99, Grade::Broken), (101, Grade::CouldBeBetter), (113, Grade::CouldBeBetter), (115, Grade::Ok)]
        {
            assert_eq!(judge_end(Some(end * day), 100 * day).grade, grade, "{end}");
        }
        assert_eq!(judge_end(Some(90 * day), 100 * day).fact, "ended 10 days ago");
        assert_eq!(judge_without_file("none", true, "x").grade, Grade::Ok);
        assert_eq!(judge_without_file("none", false, "x").grade, Grade::CouldBeBetter);
    }

    #[test]
    fn end_is_read_from_a_real_certificate() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2040, 2, 1);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let path = std::env::temp_dir().join(format!("tidewire-doctor-{}.pem", std::process::id()));
        std::fs::write(&path, certificate.pem()).unwrap();
        let end = end_of(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(end, Some(Duration::from_secs(2_211_667_200)));
        assert_eq!(end_of(Path::new("/nowhere.pem")), None);
    }
}
