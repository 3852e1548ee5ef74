//! The page of token claims: two tables from the registry, and the text around them.

use tidewire_core::id::{LABEL_LEN_MAX, NAME_LEN_MAX};
use tidewire_gateway::limits::{CLOCK_AHEAD_MAX, TOKEN_LEN_MAX};
use tidewire_gateway::problem::Code;
use tidewire_gateway::token::table::{Claim, OF_CHANNEL, OF_TOKEN};

use super::{code, row, settle};

#[test]
fn tokens_page_lists_every_claim() {
    let mut page = String::from(HEAD);
    page += &format!(
        "The three parts are Base64url or plain Base64, padded or not; the signature is over the text as it came. A token is at most {} KiB long.\n",
        TOKEN_LEN_MAX / 1024
    );
    page += CLAIMS;
    list(&mut page, OF_TOKEN);
    page += &format!(
        "\nTimes are in seconds since 1970; `nbf` and `iat` may lie up to {} s ahead of the server's clock. A label is 1 to {LABEL_LEN_MAX} bytes of UTF-8 without control characters. A name \
         is 1 to {NAME_LEN_MAX} of the\ncharacters `A-Z a-z 0-9 . _ - ~`; channels are the same whatever their case.\n",
        CLOCK_AHEAD_MAX.as_secs(),
    );
    page += TYPES;
    list(&mut page, OF_CHANNEL);
    page += COMMAND;
    settle("tokens.md", &page);
}

fn list(page: &mut String, table: &[Claim]) {
    *page += "| claim | is | says | refused with |\n| --- | --- | --- | --- |\n";
    for claim in table {
        let names: Vec<_> = claim.names.iter().map(|name| code(name)).collect();
        let refusals: Vec<_> = claim.refusals.iter().map(|refusal| link(*refusal)).collect();
        let need = if claim.is_required { ", required" } else { "" };
        let form = format!("{}{need}", claim.form.words());
        row(page, &[&names.join(", "), &form, claim.meaning, &refusals.join(", ")]);
    }
}

fn link(refusal: Code) -> String {
    format!("[`{0}`](errors.md#{0})", refusal.wire())
}

const HEAD: &str = "\
# Tokens

The tables of claims are written by `cargo xtask reference` from the registry in `gateway/src/token/table.rs`, and the text around them from `server/tests/reference/tokens.rs`; do not edit.

A token is a JSON Web Token (RFC 7519). It says what its bearer may do, until `exp`. How to make them: [guide](../guide/tokens.md).

```json
{
  \"type\": \"join\",
  \"iat\": 1767225600,
  \"exp\": 1767229200,
  \"applicationId\": \"my-app\",
  \"userId\": \"alice\",
  \"deviceId\": \"laptop\",
  \"clientId\": \"1\",
  \"region\": \"eu-west\",
  \"clientRoles\": [\"speaker\"],
  \"channels\": [{ \"id\": \"meeting\", \"action\": \"join\", \"disableSendVideo\": true }]
}
```

The claims have the shape that LiveSwitch gave them, and tokens that its SDK mints are taken, so that an application server can move over. Null means what a missing
key means. Keys that are not named here are ignored; a key that is there twice is refused, and so is a value that its claim cannot have ([`tokenClaimInvalid`](errors.md#tokenClaimInvalid)).

## Signature

| `alg` | key | setting |
| --- | --- | --- |
| `HS256` | the application's secret, or the one before | `secret`; `secret-previous` |
| `RS256` | an RSA key of 2048 to 8192 bits | `key-set` |
| `ES256` | a P-256 key | `key-set` |

Every other `alg` is refused, `none` in any spelling with a code of its own. A key belongs to one algorithm: a public key never verifies an HMAC. A token signed by RS256 or ES256 names its
key by `kid`; where the application has just one, it may leave that out. `kid` only looks a key up by its name; keys that a token brings along (`jwk`, `x5c`) or points to
(`jku`, `x5u`) are not looked at. `crit` is refused.

";

const CLAIMS: &str = "
## Claims

";

const TYPES: &str = "
| `type` | opens |
| --- | --- |
| `register` | a client, and the channels that it names; also WHIP and WHEP there |
| `join` | its channel, for a client that is registered; also WHIP and WHEP there |
| `event` | nothing here |

A token that a registered client shows later (to join, or to renew its claims) must be for that client: what it names of application, user, device, client, region and roles must be what
the client has. What it leaves out is not compared.

## Claims of a channel

The first claim that names a channel counts for it.

";

const COMMAND: &str = "
## `tidewire token`

```
tidewire token --secret SECRET --channel NAME
tidewire token --secret SECRET --type register --channel NAME --channel OTHER --user alice --role speaker
```

prints a token and nothing else. `--watch-only`, `--can-kick`, `--can-update` and `--hidden` are about every channel named; `--application ID` signs with that application's
secret from `tidewire.toml`. `tidewire token --help` has the rest.
";
