use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    Issuer,
    issuer::{Algorithm, now, signed_with_secret, unsigned},
    wait::wait_until,
    wait_for,
};

use super::*;

const AUDIENCE: &str = "https://codex.example/mcp";

fn verifier(issuer: &Issuer, change: impl FnOnce(&mut JwtSettings)) -> JwtVerifier {
    let mut settings = JwtSettings {
        issuer: Some(issuer.url().to_owned()),
        audience: vec![AUDIENCE.to_owned()],
        ..JwtSettings::default()
    };
    change(&mut settings);
    JwtVerifier::new(&settings, vec!["a".to_owned(), "b".to_owned()]).unwrap()
}

fn with(mut claims: Value, key: &str, value: Value) -> Value {
    claims[key] = value;
    claims
}

async fn reason(jwt: &JwtVerifier, token: &str) -> &'static str {
    match jwt.check(token).await {
        Err(JwtRefused::Invalid(reason)) => reason,
        Err(JwtRefused::NoScope) => "no scope",
        Err(JwtRefused::NoTenant) => "no tenant",
        Err(JwtRefused::Keys(_)) => "no keys",
        Ok(_) => "good",
    }
}

#[tokio::test]
async fn a_good_token_makes_the_principal_that_it_names() {
    let issuer = Issuer::start().await;
    let signers = [issuer.new_key(Algorithm::Es256), issuer.new_key(Algorithm::Es384)];
    let jwt = verifier(&issuer, |_| {});
    for signer in &signers {
        let token = signer.sign(&issuer.claims(AUDIENCE, "a", "openid run read"));
        let principal = jwt.check(&token).await.unwrap();
        assert_eq!(principal.tenant.unwrap().as_str(), "a");
        assert_eq!((principal.scope, &*principal.subject), (Scope::Run, "jwt:somebody"));
    }
    assert_eq!(issuer.requests(), 1, "the keys are kept");
}

#[tokio::test]
async fn claims_are_found_where_the_operator_says() {
    let issuer = Issuer::start().await;
    let signer = issuer.new_key(Algorithm::Es256);
    let base = issuer.claims(AUDIENCE, "nobody", "");
    let jwt = verifier(&issuer, |it| {
        it.tenant_claim = "/realm/https:~1~1x.example/teams".to_owned();
        it.scope_claim = "roles".to_owned();
        it.admin_scope = "Codex.Admin".to_owned();
        it.subject_claim = "oid".to_owned();
    });
    let teams = |teams: Value| json!({"https://x.example": {"teams": teams}});
    let claims = with(base, "roles", json!(["Other", "Codex.Admin"]));
    let claims = with(claims, "oid", json!("1234"));
    let claims = with(claims, "realm", teams(json!(["x", "b", "b"])));
    let principal = jwt.check(&signer.sign(&claims)).await.unwrap();
    assert_eq!(principal.tenant.unwrap().as_str(), "b");
    assert_eq!((principal.scope, &*principal.subject), (Scope::Admin, "jwt:1234"));
    // Two of ours: nobody knows which is meant.
    for (named, why) in
        [(json!(["a", "b"]), "no tenant"), (json!("c"), "no tenant"), (json!(7), "no tenant")]
    {
        let claims = with(claims.clone(), "realm", teams(named));
        assert_eq!(reason(&jwt, &signer.sign(&claims)).await, why);
    }
    let fixed = verifier(&issuer, |it| it.tenant = Some("a".to_owned()));
    let token = signer.sign(&issuer.claims(AUDIENCE, "b", "read"));
    assert_eq!(fixed.check(&token).await.unwrap().tenant.unwrap().as_str(), "a");
}

#[tokio::test]
async fn what_is_not_good_is_refused() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let (signer, forger) = (issuer.new_key(Algorithm::Es256), other.new_key(Algorithm::Es256));
    let jwt = verifier(&issuer, |_| {});
    let good = issuer.claims(AUDIENCE, "a", "run");
    assert_eq!(reason(&jwt, &signer.sign(&good)).await, "good");
    let changed = |key, value| signer.sign(&with(good.clone(), key, value));
    let mut tampered = signer.sign(&good);
    let place = tampered.find('.').unwrap() + 9;
    let other_letter = if tampered[place..].starts_with('A') { "B" } else { "A" };
    tampered.replace_range(place..=place, other_letter);
    let mut critical = issuer.new_key(Algorithm::Es256);
    critical.header["crit"] = json!(["x"]);
    let mut public = Vec::new();
    issuer.change(|set| public.clone_from(set));
    let public = public.first().unwrap();
    let point = public["x"].as_str().unwrap().as_bytes().to_vec();
    for (token, why) in [
        (String::new(), "no JWT"),
        ("a.b.c".to_owned(), "no JWT"),
        (unsigned("none", &good), "no JWT"),
        (unsigned("None", &good), "no JWT"),
        (unsigned("ES256", &good), "the signature is wrong"),
        (
            signed_with_secret(public.to_string().as_bytes(), "key-1", &good),
            "a symmetric algorithm",
        ),
        (signed_with_secret(&point, "key-1", &good), "a symmetric algorithm"),
        // Its key has the same id.
        (forger.sign(&good), "the signature is wrong"),
        (critical.sign(&good), "critical extensions"),
        (changed("aud", json!("https://other.example")), "it is for another audience"),
        (changed("aud", json!([])), "it is for another audience"),
        (changed("aud", Value::Null), "a claim is missing"),
        (changed("iss", json!(other.url())), "another issuer"),
        (changed("iss", json!([issuer.url(), other.url()])), "another issuer"),
        (changed("exp", json!(now() - 120)), "it is over"),
        (changed("exp", Value::Null), "a claim is missing"),
        (changed("exp", json!("tomorrow")), "a claim is missing"),
        (changed("nbf", json!(now() + 120)), "it does not hold yet"),
        (changed("sub", Value::Null), "no subject"),
        (changed("sub", json!("")), "no subject"),
        (changed("scope", json!("openid runs")), "no scope"),
        (changed("scope", Value::Null), "no scope"),
        (changed("tenant", json!("A")), "no tenant"),
        (changed("tenant", json!("../a")), "no tenant"),
        (changed("tenant", Value::Null), "no tenant"),
    ] {
        assert_eq!(reason(&jwt, &token).await, why, "{token}");
    }
    // Clocks may differ by a minute.
    assert_eq!(reason(&jwt, &changed("exp", json!(now() - 30))).await, "good");
    assert_eq!(reason(&jwt, &changed("nbf", json!(now() + 30))).await, "good");
    assert_eq!(reason(&jwt, &tampered).await, "the signature is wrong");
}

#[tokio::test]
async fn a_key_checks_only_what_it_is_for() {
    let issuer = Issuer::start().await;
    let signers: Vec<_> = (0..4).map(|_| issuer.new_key(Algorithm::Es256)).collect();
    issuer.change(|set| {
        // Entra does not say the algorithm.
        set[0].as_object_mut().unwrap().remove("alg");
        set[1]["use"] = json!("enc");
        set[2]["alg"] = json!("ES384");
        set[3]["alg"] = json!("something new");
        set.push(json!({"kty": "new", "kid": "x"}));
        set.push(json!("nonsense"));
        set.push(json!({"kty": "oct", "kid": "s", "k": "c2VjcmV0"}));
    });
    let jwt = verifier(&issuer, |_| {});
    let good = issuer.claims(AUDIENCE, "a", "run");
    assert_eq!(reason(&jwt, &signers[0].sign(&good)).await, "good");
    let mut nameless = issuer.new_key(Algorithm::Es256);
    issuer.change(|set| drop(set.pop()));
    nameless.header.as_object_mut().unwrap().remove("kid");
    assert_ne!(reason(&jwt, &nameless.sign(&good)).await, "good");
    let why = [
        "no key of the provider's fits",
        "an algorithm the key is not for",
        "no key of the provider's fits",
    ];
    for (signer, why) in signers[1..].iter().zip(why) {
        assert_eq!(reason(&jwt, &signer.sign(&good)).await, why);
    }
    assert_eq!(
        reason(&jwt, &signed_with_secret(b"secret", "s", &good)).await,
        "a symmetric algorithm"
    );
}

#[tokio::test]
async fn keys_are_asked_for_again_but_not_by_every_token() {
    let issuer = Issuer::start().await;
    issuer.set_away(true);
    let first = issuer.new_key(Algorithm::Es256);
    let jwt = verifier(&issuer, |_| {});
    let good = issuer.claims(AUDIENCE, "a", "run");
    assert_eq!(reason(&jwt, &first.sign(&good)).await, "no keys");
    assert_eq!(reason(&jwt, &first.sign(&good)).await, "no keys");
    assert_eq!(issuer.requests(), 1);
    // A provider is asked again after a while, a key that is known is used until then.
    let pass = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    pass(31).await;
    issuer.set_away(false);
    assert_eq!(reason(&jwt, &first.sign(&good)).await, "good");
    let second = issuer.new_key(Algorithm::Es256);
    for _ in 0..3 {
        assert_eq!(reason(&jwt, &second.sign(&good)).await, "no key of the provider's fits");
    }
    assert_eq!(issuer.requests(), 2);
    pass(31).await;
    assert_eq!(reason(&jwt, &second.sign(&good)).await, "good");
    assert_eq!(issuer.requests(), 3);
    // What is known holds while the provider is away.
    issuer.set_away(true);
    pass(700).await;
    assert_eq!(reason(&jwt, &first.sign(&good)).await, "good");
    wait_for("it to be asked", || (issuer.requests() == 4).then_some(())).await;
    // A key that the provider has taken back is no longer good.
    issuer.set_away(false);
    issuer.change(|set| drop(set.remove(0)));
    pass(700).await;
    wait_until("it to be heard", async || {
        reason(&jwt, &first.sign(&good)).await == "no key of the provider's fits"
    })
    .await;
    assert_eq!(issuer.requests(), 5);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_the_others_their_keys() {
    let issuer = Issuer::start().await;
    let signer = issuer.new_key(Algorithm::Es256);
    issuer.set_delay(Duration::from_millis(300));
    let jwt = verifier(&issuer, |_| {});
    let good = issuer.claims(AUDIENCE, "a", "run");
    let forged = unsigned("RS256", &good);
    let cut = tokio::time::timeout(Duration::from_millis(50), jwt.check(&forged)).await;
    assert!(cut.is_err(), "it did not ask for keys");
    assert_eq!(reason(&jwt, &signer.sign(&good)).await, "good");
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn keys_may_be_in_a_file() {
    let issuer = Issuer::start().await;
    let signer = issuer.new_key(Algorithm::Es384);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut keys = Vec::new();
    issuer.change(|set| keys.clone_from(set));
    std::fs::write(file.path(), json!({"keys": keys}).to_string()).unwrap();
    let jwt = verifier(&issuer, |it| it.jwks = Some(file.path().display().to_string()));
    let good = issuer.claims(AUDIENCE, "a", "run");
    assert_eq!(reason(&jwt, &signer.sign(&good)).await, "good");
    for text in ["", "{}", "{\"keys\": []}", "{\"keys\": 7}"] {
        std::fs::write(file.path(), text).unwrap();
        let jwt = verifier(&issuer, |it| it.jwks = Some(file.path().display().to_string()));
        assert_eq!(reason(&jwt, &signer.sign(&good)).await, "no keys", "{text}");
    }
    let open = verifier(&issuer, |it| it.jwks = Some("http://codex.example/keys".to_owned()));
    assert_eq!(reason(&open, &signer.sign(&good)).await, "no keys");
    assert_eq!(issuer.requests(), 0);
}

/// What providers sign with, by another implementation than ours.
#[tokio::test]
async fn every_algorithm_of_providers_is_checked() {
    let issuer = Issuer::start().await;
    let claims = issuer.claims(AUDIENCE, "a", "run");
    for algorithm in
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
    {
        let good = issuer.signed_elsewhere(algorithm, &claims);
        // Some providers write zeros before the modulus: these are three.
        let zero = issuer.signed_elsewhere(algorithm, &claims);
        issuer.change(|set| {
            if let Some(n) = set.last_mut().and_then(|key| key.get_mut("n")) {
                *n = json!(format!("AAAA{}", n.as_str().unwrap()));
            }
        });
        let jwt = verifier(&issuer, |_| {});
        assert_eq!(reason(&jwt, &good).await, "good", "{algorithm}");
        assert_eq!(reason(&jwt, &zero).await, "good", "{algorithm}");
        // A signature of something else, half of one, none.
        let (text, signature) = good.rsplit_once('.').unwrap();
        let (_, other) = zero.rsplit_once('.').unwrap();
        let half = &signature[..signature.len() / 8 * 4];
        for wrong in [other, half, ""] {
            let token = format!("{text}.{wrong}");
            assert_eq!(reason(&jwt, &token).await, "the signature is wrong", "{algorithm}");
        }
    }
    // Too short to be worth anything.
    let weak = issuer.signed_elsewhere("RS256", &claims);
    issuer.change(|set| {
        let n = set.last().unwrap()["n"].as_str().unwrap().to_owned();
        set.last_mut().unwrap()["n"] = json!(n[..170]);
    });
    assert_ne!(reason(&verifier(&issuer, |_| {}), &weak).await, "good");
}
