use std::path::Path;

use super::*;

const CORES: usize = 4;
const RANDOM: [u8; 32] = [9; 32];

#[test]
fn nothing_set_gives_the_defaults() {
    let settings = read(&[], &[], "").unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((settings.udp_port, settings.shards), (10_000, 3));
    assert_eq!((settings.io, settings.dtls, settings.tls), (IoChoice::Auto, Versions::Dtls12, Tls::Off));
    assert_eq!(settings.secret, Secret::Random(RANDOM.to_vec()));
    assert_eq!(settings.connected_max, 128);
    assert!(settings.media_ips.is_empty() && settings.announce_ips.is_empty() && settings.spin.is_zero());
}

#[test]
fn flag_goes_before_environment_before_file() {
    let file = "udp-port = 1\nshards = 1\nspin-us = 1\nloudest = 3\nconnected-sockets = 0";
    let environment = [("TIDEWIRE_UDP_PORT", "2"), ("TIDEWIRE_SHARDS", "2")];
    let settings = read(&[("udp-port", &["3"])], &environment, file).unwrap();
    assert_eq!((settings.udp_port, settings.shards, settings.spin), (3, 2, Duration::from_micros(1)));
    assert_eq!((settings.loudest, settings.connected_max), (3, 0));
}

#[test]
fn lists_are_taken_from_every_source_and_hold_each_address_once() {
    let expected: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().unwrap()).to_vec();
    let flag = read(&[("media-ip", &["192.0.2.1", "2001:db8::1, 192.0.2.1"])], &[], "").unwrap();
    let environment = read(&[], &[("TIDEWIRE_MEDIA_IP", "192.0.2.1,,2001:db8::1")], "").unwrap();
    let file = read(&[], &[], "media-ip = ['192.0.2.1', '2001:db8::1']").unwrap();
    for settings in [flag, environment, file] {
        assert_eq!(settings.media_ips, expected);
    }
}

#[test]
fn every_setting_can_come_from_the_file() {
    let file = "
        listen = '[::]:80'
        media-ip = '192.0.2.1'
        announce-ip = ['203.0.113.7']
        udp-port = 40000
        shards = 2
        io = 'epoll'
        driver = 'plain'
        dtls = 1.3
        spin-us = 50
        secret = 'from the file'
        tls-cert = 'chain.pem'
        tls-key = 'key.pem'
        log = 'warn,tidewire_net=debug'
        log-format = 'json'
    ";
    let settings = read(&[], &[], file).unwrap();
    assert_eq!((settings.io, settings.dtls, settings.udp_port), (IoChoice::Epoll, Versions::Dtls13, 40_000));
    assert_eq!(settings.secret, Secret::Given(b"from the file".to_vec()));
    assert_eq!(settings.tls, Tls::Files { certificate: "chain.pem".into(), key: "key.pem".into() });
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn wrong_value_names_setting_source_and_mend() {
    let error = read(&[], &[("TIDEWIRE_UDP_PORT", "70000")], "").unwrap_err().to_string();
    let expected = "udp-port (the environment variable TIDEWIRE_UDP_PORT): \"70000\" is not a port. \
                    Write a number from 0 to 65535.";
    assert_eq!(error, expected);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    for (key, value) in [
        ("listen", "localhost"),
        ("listen", "8080"),
        ("media-ip", "eth0"),
        ("media-ip", "0.0.0.0"),
        ("media-ip", "fe80::1"),
        ("media-ip", "192.0.2.1:10000"),
        ("announce-ip", "224.0.0.1"),
        ("udp-port", "-1"),
        ("shards", "0"),
        ("shards", "256"),
        ("io", "af_xdp"),
        ("driver", "tokio"),
        ("dtls", "1.1"),
        ("spin-us", "1000001"),
        ("connected-sockets", "16385"),
        ("loudest", "33"),
        ("secret", ""),
        ("tls", "on"),
        ("tls-cert", ""),
        ("log", "[["),
        ("log-format", "xml"),
    ] {
        let error = read(&[(key, &[value])], &[], "").unwrap_err();
        assert_eq!((&*error.setting, &*error.origin), (key, &*format!("the flag --{key}")), "{value}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let tls = |flags| read(flags, &[], "").unwrap_err().setting;
    assert_eq!(tls(&[("tls-cert", &["a"])]), "tls-cert");
    assert_eq!(tls(&[("tls-key", &["a"])]), "tls-key");
    assert_eq!(tls(&[("tls", &["self-signed"]), ("tls-cert", &["a"]), ("tls-key", &["b"])]), "tls");
    assert_eq!(tls(&[("udp-port", &["65534"])]), "udp-port");
    assert!(read(&[("udp-port", &["65533"])], &[], "").is_ok());
}

#[test]
fn file_that_says_something_unknown_is_refused() {
    let unknown = read(&[], &[], "udp_port = 1").unwrap_err();
    assert_eq!((&*unknown.setting, unknown.mend.contains("udp-port")), ("udp_port", true));
    assert_eq!(read(&[], &[], "[media]\nip = 1").unwrap_err().setting, "media");
    assert_eq!(read(&[], &[], "shards = true").unwrap_err().setting, "shards");
    assert_eq!(read(&[], &[], "shards").unwrap_err().setting, "config");
}

#[test]
fn file_that_was_asked_for_has_to_be_there() {
    let absent = Path::new("/nowhere/tidewire.toml");
    assert_eq!(Sources::default().with_file(Some(absent)).unwrap_err().setting, "config");
    assert!(Sources::default().with_file(None).is_ok());
}

#[test]
fn empty_variable_is_not_set() {
    assert_eq!(read(&[], &[("TIDEWIRE_SHARDS", "")], "").unwrap().shards, 3);
}

#[test]
fn one_core_still_has_a_shard() {
    assert_eq!([1, 2, 8, 1000].map(default_shards), [1, 1, 7, 255]);
}

#[test]
fn secret_is_shown_nowhere() {
    let flags = [("secret", vec!["hunter2".to_owned()])];
    let sources = Sources::new(flags, |_| None);
    let file = "[[application]]\nid = 'shop'\nsecret = 'hunter2'\nsecret-previous = 'hunter2'";
    let sources = sources.with_toml(Path::new("test.toml"), file).unwrap();
    let settings = Settings::read(Role::Everything, &sources, CORES, RANDOM).unwrap();
    let shown = format!("{settings:?}{}", in_force(&sources));
    assert!(!shown.contains("hunter2") && shown.contains("shop: secret (hidden)"), "{shown}");
}

#[test]
fn token_needs_a_secret_that_was_set() {
    let (ours, shop) = (ApplicationId::default(), ApplicationId::new("shop").unwrap());
    assert_eq!(Settings::secret_of(&Sources::default(), &ours).unwrap_err().setting, "secret");
    let sources = Sources::new([("secret", vec!["ours".to_owned()])], |_| None);
    assert_eq!(Settings::secret_of(&sources, &ours).unwrap(), b"ours");
    let file = "[[application]]\nid = 'shop'\nsecret = 'theirs'\n[[application]]\nid = 'bank'\nkey-set = 'bank.jwks'";
    let sources = sources.with_toml(Path::new("test.toml"), file).unwrap();
    assert_eq!(Settings::secret_of(&sources, &shop).unwrap(), b"theirs");
    assert_eq!(Settings::secret_of(&sources, &ours).unwrap(), b"ours");
    let bank = Settings::secret_of(&sources, &ApplicationId::new("bank").unwrap()).unwrap_err();
    assert!(bank.problem.contains("bank has a key set and no secret"), "{bank}");
}

#[test]
fn application_that_makes_no_sense_is_refused_by_name() {
    for (table, problem) in [
        ("secret = 's'", "missing field `id`"),
        ("id = 'a b'\nsecret = 's'", "a name is 1 to 64"),
        ("id = 'shop'", "shop has neither a secret nor a key-set"),
        ("id = 'shop'\nsecret = 12345", "a secret must be a text"),
        ("id = 'shop'\nsecret = ''", "shop has an empty secret"),
        ("id = 'shop'\nsecret-previous = 's'\nkey-set = 'k'", "shop has a secret-previous without a secret"),
        ("id = 'shop'\nsecret = 's'\nsecrets = 't'", "unknown field `secrets`"),
        ("id = 'shop'\nsecret = 's'\n[[application]]\nid = 'shop'\nsecret = 't'", "shop is there twice"),
    ] {
        let error = read(&[], &[], &format!("[[application]]\n{table}")).unwrap_err();
        assert!(error.setting == "application" && error.problem.contains(problem), "{table}: {error}");
    }
    let default = "[[application]]\nid = 'default'\nsecret = 's'";
    assert_eq!(read(&[("secret", &["t"])], &[], default).unwrap_err().setting, "secret");
    assert!(!read(&[], &[], default).unwrap().page_mints_tokens());
}

const CLUSTER_SECRET: &str = "a cluster secret of thirty-two b";

#[test]
fn a_media_server_by_itself_needs_a_gateway_and_the_clusters_secret() {
    let refused = |flags| read_as(Role::Media, flags, &[], "").unwrap_err().setting;
    assert_eq!(refused(&[]), "gateway-url");
    assert_eq!(refused(&[("gateway-url", &["ws://127.0.0.1:8080"])]), "cluster-secret");
    assert_eq!(refused(&[("gateway-url", &["http://127.0.0.1:8080"])]), "gateway-url");
    assert_eq!(refused(&[("cluster-secret", &["short"])]), "cluster-secret");
    assert_eq!(refused(&[("media-name", &[""])]), "media-name");
}

#[test]
fn one_file_serves_both_programs_and_each_takes_what_is_its_own() {
    let file = format!(
        "cluster-secret = '{CLUSTER_SECRET}'\ngateway-url = 'ws://127.0.0.1:8080'\nsecret = 'ours'\nudp-port = 7\ndrain-s = 5\n"
    );
    let gateway = read_as(Role::Gateway, &[], &[], &file).unwrap();
    assert_eq!((gateway.listen.port(), gateway.udp_port, gateway.apart.is_some()), (8080, UDP_PORT, false));
    assert_eq!(gateway.secret, Secret::Given(b"ours".to_vec()));
    assert_eq!(gateway.cluster_secret.unwrap().bytes(), CLUSTER_SECRET.as_bytes());
    let media = read_as(Role::Media, &[], &[], &file).unwrap();
    assert_eq!((media.listen.port(), media.udp_port), (8081, 7));
    assert_eq!(media.apart.unwrap().drain, Duration::from_secs(5));
    let everything = read_as(Role::Everything, &[], &[], &file).unwrap();
    assert!(everything.cluster_secret.is_none() && everything.apart.is_none());
}

#[test]
fn page_mints_only_on_loopback_with_a_secret_of_its_own() {
    let mints = |flags| read(flags, &[], "").unwrap().page_mints_tokens();
    assert!(mints(&[]) && mints(&[("listen", &["[::1]:80"])]));
    assert!(!mints(&[("listen", &["0.0.0.0:80"])]) && !mints(&[("secret", &["ours"])]));
}

fn read(
    flags: &[(&'static str, &[&str])],
    environment: &[(&str, &str)],
    file: &str,
) -> Result<Settings, SettingsError> {
    read_as(Role::Everything, flags, environment, file)
}

fn read_as(
    role: Role,
    flags: &[(&'static str, &[&str])],
    environment: &[(&str, &str)],
    file: &str,
) -> Result<Settings, SettingsError> {
    let flags = flags.iter().map(|(key, values)| (*key, values.iter().map(|&value| value.to_owned()).collect()));
    let of = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let sources = Sources::new(flags, of).with_toml(Path::new("test.toml"), file)?;
    Settings::read(role, &sources, CORES, RANDOM)
}
