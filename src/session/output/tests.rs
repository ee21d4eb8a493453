use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;

use super::{schema::check_size, *};

/// Whether a value fits. Panics if the schema is none.
fn fits(schema: &Value, value: &Value) -> bool {
    check(&Schema::new(schema).unwrap(), value).is_ok()
}

#[test]
fn what_fits_and_what_does_not_is_said() {
    let schema =
        json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    assert_eq!(parse(&schema, " {\"n\": 3}\n"), (Some(json!({"n": 3})), None));
    let (value, wrong) = parse(&schema, "{\"n\": \"x\"}");
    assert!(value.is_some() && wrong.as_ref().unwrap().contains("`/n`"), "{wrong:?}");
    assert!(parse(&schema, "three").1.unwrap().contains("not JSON"));
    let (_, wrong) = parse(&schema, "{}");
    assert!(wrong.unwrap().contains("at its root, `n` is missing"));
}

/// From the examples of the standard's own test suite: keyword, what fits, what does not.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_keyword_is_checked_as_the_standard_says() {
    for (schema, right, wrong) in [
        (json!({"type": "integer"}), json!([1, 1.0, -3]), json!([1.5, "1", null, true])),
        (json!({"type": ["string", "null"]}), json!(["", null]), json!([0, {}, []])),
        (
            json!({"enum": [1, "a", {"b": [1, 2]}]}),
            json!([1.0, "a", {"b": [1, 2]}]),
            json!([2, {"b": [2, 1]}]),
        ),
        (json!({"const": {"a": 1, "b": 2}}), json!([{"b": 2, "a": 1}]), json!([{"a": 1}, null])),
        (json!({"minimum": 1, "exclusiveMaximum": 3}), json!([1, 2.9, "x"]), json!([0.9, 3])),
        (
            json!({"minimum": 9_007_199_254_740_993_u64}),
            json!([9_007_199_254_740_993_u64]),
            json!([9_007_199_254_740_992_u64]),
        ),
        (json!({"multipleOf": 0.01}), json!([0.07, 4.02, 5]), json!([0.075])),
        (json!({"multipleOf": 3}), json!([9, 0, -3]), json!([10])),
        (json!({"minLength": 2, "maxLength": 3}), json!(["ää", "abc"]), json!(["ä", "abcd"])),
        (json!({"pattern": "^a+$"}), json!(["aaa", 7]), json!(["ab", ""])),
        (json!({"pattern": "^[\\w-]\\D$"}), json!(["_x", "-x"]), json!(["éx", "a1"])),
        (json!({"pattern": "b"}), json!(["abc"]), json!(["ac"])),
        (json!({"pattern": "^\\p{L}\\d$"}), json!(["é5"]), json!(["55"])),
        (json!({"items": {"type": "null"}}), json!([[], [null], {"0": 1}]), json!([[null, 1]])),
        (
            json!({"prefixItems": [{"const": 1}], "items": false}),
            json!([[1], []]),
            json!([[2], [1, 1]]),
        ),
        (
            json!({"items": [{"const": 1}], "additionalItems": {"const": 2}}),
            json!([[1, 2]]),
            json!([[1, 1]]),
        ),
        (
            json!({"contains": {"const": 1}, "maxContains": 2}),
            json!([[1], [1, 0, 1]]),
            json!([[], [0], [1, 1, 1]]),
        ),
        (json!({"contains": {"const": 1}, "minContains": 0}), json!([[], [0]]), json!([])),
        (
            json!({"minItems": 1, "maxItems": 2}),
            json!([[1], [1, 2], "long text"]),
            json!([[], [1, 2, 3]]),
        ),
        (
            json!({"uniqueItems": true}),
            json!([[1, true, "1"], [{"a": 1}, {"a": 2}]]),
            json!([[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
        ),
        (json!({"uniqueItems": false}), json!([[1, 1]]), json!([])),
        (json!({"required": ["a"]}), json!([{"a": null}, []]), json!([{}, {"b": 1}])),
        (
            json!({"properties": {"a": {"type": "null"}}, "additionalProperties": false}),
            json!([{}, {"a": null}]),
            json!([{"a": 1}, {"b": null}]),
        ),
        (
            json!({"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": {"type": "string"}}),
            json!([{"xy": null, "a": "b"}]),
            json!([{"xy": 1}, {"a": null}]),
        ),
        (
            json!({"properties": {"x": {"minimum": 1}}, "patternProperties": {"x": {"maximum": 2}}}),
            json!([{"x": 1}]),
            json!([{"x": 0}, {"x": 3}]),
        ),
        (
            json!({"minProperties": 1, "maxProperties": 1}),
            json!([{"a": 1}]),
            json!([{}, {"a": 1, "b": 2}]),
        ),
        (json!({"propertyNames": {"maxLength": 1}}), json!([{"a": 1}]), json!([{"ab": 1}])),
        (
            json!({"dependentRequired": {"a": ["b"]}}),
            json!([{"a": 1, "b": 2}, {}]),
            json!([{"a": 1}]),
        ),
        (
            json!({"dependentSchemas": {"a": {"required": ["b"]}}}),
            json!([{"b": 1}]),
            json!([{"a": 1}]),
        ),
        (json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), json!([1, 2]), json!([0, 3])),
        (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), json!(["", 5]), json!([4])),
        (json!({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}), json!([2, 3]), json!([6, 1])),
        (json!({"not": {"type": "string"}}), json!([1]), json!(["a"])),
        (
            json!({"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"const": 1}}),
            json!([5, 1]),
            json!([6, 2]),
        ),
        (
            json!({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "null"}}}),
            json!([null]),
            json!([1]),
        ),
        (
            json!({"properties": {"next": {"$ref": "#"}}, "required": ["v"]}),
            json!([{"v": 1, "next": {"v": 2}}]),
            json!([{"v": 1, "next": {}}]),
        ),
        (json!({"format": "email", "title": 7, "x-mine": []}), json!(["no address", 1]), json!([])),
        (json!({"properties": {"a": true, "b": false}}), json!([{"a": 1}]), json!([{"b": 1}])),
    ] {
        for value in right.as_array().unwrap() {
            assert!(fits(&schema, value), "{schema} takes {value}");
        }
        for value in wrong.as_array().unwrap() {
            assert!(!fits(&schema, value), "{schema} refuses {value}");
        }
    }
}

#[test]
fn what_is_no_schema_is_refused_with_a_reason() {
    let many = |count: usize| -> serde_json::Map<String, Value> {
        (0..count).map(|number| (format!("^a{number}"), json!(true))).collect()
    };
    let references: Vec<Value> = (0..600).map(|_| json!({"$ref": "#"})).collect();
    for (schema, words) in [
        (json!("object"), "not an object"),
        (json!(true), "not an object"),
        (json!({"type": "thing"}), "`type` is not one of"),
        (json!({"properties": []}), "an object of schemas"),
        (json!({"properties": {"a": 7}}), "`7` stands where a schema belongs"),
        (json!({"items": {"type": 3}}), "`type`"),
        (json!({"maxLength": -1}), "a whole number of 0 or more"),
        (json!({"multipleOf": 0}), "above 0"),
        (json!({"$ref": "https://example.com/schema"}), "no reference to a place in it"),
        (json!({"$ref": "file:///etc/passwd"}), "no reference to a place in it"),
        (json!({"$ref": "#/$defs/missing"}), "no reference to a place in it"),
        (json!({"$ref": "#anchor"}), "no reference to a place in it"),
        (json!({"$ref": "#/title", "title": "x"}), "stands where a schema belongs"),
        (json!({"unevaluatedProperties": false}), "not supported"),
        (json!({"pattern": "("}), "cannot be used"),
        (json!({"pattern": "(?=a)b"}), "look-around"),
        (json!({"pattern": "(a)\\1"}), "backreferences"),
        // What would cost too much before any answer is there.
        (json!({"pattern": "(((a{100}){100}){100}){100}"}), "cannot be used"),
        (json!({"pattern": "\\p{L}{5000}"}), "cannot be used"),
        (json!({"pattern": "a".repeat(600)}), "longer than 512 bytes"),
        (json!({"patternProperties": many(65)}), "more than 64 patterns"),
        (json!({"patternProperties": many(7000)}), "longer than 65536 bytes"),
        (json!({"description": "x".repeat(70_000)}), "longer than 65536 bytes"),
        (json!({"allOf": references}), "more than 512 references"),
    ] {
        let reason = check_size(&schema).and_then(|()| Schema::new(&schema).map(drop)).unwrap_err();
        assert!(reason.contains(words), "{:.200}: {reason}", schema.to_string());
    }
    Schema::new(&json!({"patternProperties": many(64)})).unwrap();
}

/// Each makes a checker without a bound work for hours, or end in a stack that is too deep.
#[test]
fn no_schema_makes_checking_endless() {
    // Every part doubles the next.
    let doubled = |keyword: &str| {
        let parts = (0..40).map(|number| {
            let next = json!({"$ref": format!("#/$defs/{}", number + 1)});
            (number.to_string(), json!({(keyword): [next.clone(), next]}))
        });
        let mut parts: serde_json::Map<String, Value> = parts.collect();
        parts.insert("40".into(), json!({"type": ["object", "array", "string"]}));
        json!({"$ref": "#/$defs/0", "$defs": parts})
    };
    let both_ways = json!({"allOf": [
        {"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}},
        {"patternProperties": {"a": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}]});
    let mut deep = json!({});
    for _ in 0..60 {
        deep = json!({"a": deep});
    }
    let long = json!("a".repeat(3_000_000));
    let slow = json!({"allOf": (0..64).map(|n| json!({"pattern": format!("(a?){{9}}a{{9}}b{n}")})).collect::<Vec<_>>()});
    let equal = json!(vec![json!(vec![0; 300]); 3000]);
    let unique = json!({"allOf": vec![json!({"uniqueItems": true}); 200]});
    for (schema, answer) in [
        (doubled("allOf"), json!({})),
        (doubled("oneOf"), json!([])),
        (
            json!({"not": doubled("anyOf")["$defs"]["0"], "$defs": doubled("allOf")["$defs"]}),
            json!("x"),
        ),
        (json!({"$ref": "#"}), json!({})),
        (
            json!({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}),
            json!({}),
        ),
        (both_ways, deep),
        (slow, long),
        (json!({"not": unique.clone(), "anyOf": vec![unique; 8]}), equal),
        (json!({"items": {"enum": (0..6000).collect::<Vec<_>>()}}), json!(vec![-1.5; 300_000])),
    ] {
        let schema = Schema::new(&schema)
            .unwrap_or_else(|reason| panic!("{reason}: {:.300}", schema.to_string()));
        // It ends, whatever it says: most say that it is too much.
        let checked = check(&schema, &answer);
        assert!(checked.is_err(), "{checked:?}");
    }
    let (_, wrong) = parse(&doubled("allOf"), "{}");
    assert!(wrong.unwrap().contains("takes too many steps"));
}

#[tokio::test]
async fn the_runtime_goes_on_while_a_schema_is_looked_at() {
    let patterns: serde_json::Map<String, Value> =
        (0..64).map(|number| (format!("^[\\w{number}]{{1,60}}$"), json!(true))).collect();
    let schema = json!({"patternProperties": patterns});
    let (checked, ticks) = crate::system::watched("a schema", check_schema(&schema)).await;
    checked.unwrap();
    assert!(ticks > 0);
    let big = json!({"description": "x".repeat(100_000)});
    assert!(matches!(check_schema(&big).await, Err(SessionError::Schema { .. })));
}

#[test]
fn what_people_really_ask_for_is_checked() {
    let tree = json!({"type": "object", "additionalProperties": false, "required": ["kind", "children"],
        "properties": {"kind": {"enum": ["div", "text"]}, "children": {"type": "array", "items": {"$ref": "#"}}}});
    let mut answer = json!({"kind": "text", "children": []});
    for _ in 0..40 {
        answer = json!({"kind": "div", "children": [answer, {"kind": "text", "children": []}]});
    }
    assert!(fits(&tree, &answer));
    let rows = json!({"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "object",
        "required": ["id", "name"], "properties": {"id": {"type": "integer"}, "name": {"type": "string", "pattern": "^n"}}}}}});
    let answer = json!({"rows": (0..20_000).map(|id| json!({"id": id, "name": format!("n{id}")})).collect::<Vec<_>>()});
    assert!(fits(&rows, &answer), "20,000 rows are no attack");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        Just(Value::Null),
        prop_oneof!["type", "#", "#/items", "object", "\\^a", "\\[", "\\PC{0,4}"]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![
            "type",
            "items",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "[$]ref",
            "properties",
            "required",
            "patternProperties",
            "additionalProperties",
            "pattern",
            "enum",
            "minItems",
            "if",
            "then",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(name, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn anything_is_a_schema_or_refused_and_checking_ends(schema in any_json(), answer in any_json()) {
        if let Ok(schema) = Schema::new(&schema) {
            let _ = check(&schema, &answer);
        }
    }
}

/// Another implementation says the same of what both take.
#[test]
fn others_agree() {
    let mut runner = TestRunner::default();
    let answers = proptest::collection::vec(any_json(), 4);
    let cases: Vec<_> = (0..500)
        .map(|_| (any_schema(3), &answers).new_tree(&mut runner).unwrap().current())
        .collect();
    let mut compared = 0;
    for ((schema, answers), theirs) in cases.iter().zip(testkit::ajv::check(&cases)) {
        let (Ok(theirs), Ok(ours)) = (theirs, Schema::new(schema)) else { continue };
        for (answer, wrong) in answers.iter().zip(theirs) {
            let checked = check(&ours, answer);
            // A part of a schema that refers to itself may be given up, by either.
            let is_given_up =
                checked == Err(Fault::TooMuch) || wrong.as_deref() == Some(testkit::ajv::GAVE_UP);
            // Ajv takes an empty array behind another member whose array contained what it should for one that does too.
            let contains_nothing = matches!(&checked, Err(Fault::Wrong { place, reason })
                if reason == "too few items are as `contains` says"
                    && answer.pointer(place) == Some(&json!([])));
            if !(is_given_up || contains_nothing && wrong.is_none()) {
                let is_right = wrong.is_none();
                assert_eq!(checked.is_ok(), is_right, "{checked:?} {wrong:?} {schema} {answer}");
                compared += 1;
            }
        }
    }
    // Chance decides how many both take: some 1,100 of 2,000.
    assert!(compared > 500, "{compared}");
}

/// Schemas that are mostly valid ones.
fn any_schema(depth: u32) -> BoxedStrategy<Value> {
    let types = || {
        prop_oneof!["array", "object", "string", "number", "integer", "null", "boolean"]
            .prop_map(Value::from)
    };
    let count = || (0u32..3).prop_map(Value::from);
    let names = || {
        proptest::collection::vec(prop_oneof!["type", "items", "not"], 0..3).prop_map(Value::from)
    };
    let simple = prop_oneof![
        types().prop_map(|it| json!({"type": it})),
        (types(), types()).prop_map(|(a, b)| json!({"type": [a, b]})),
        any_json().prop_map(|it| json!({"const": it})),
        (any_json(), any_json()).prop_map(|(a, b)| json!({"enum": [a, b]})),
        names().prop_map(|it| json!({"required": it})),
        ("(min|max)(Items|Length|Properties)", count()).prop_map(|(key, it)| json!({(key): it})),
        ("(exclusiveM|m)(in|ax)imum", -2i64..3).prop_map(|(key, it)| json!({(key): it})),
        (1i64..3).prop_map(|it| json!({"multipleOf": it})),
        Just(json!({"uniqueItems": true})),
        "(a|e|b?c|x*)".prop_map(|it| json!({"pattern": it})),
    ];
    if depth == 0 {
        return simple.boxed();
    }
    let inner = || any_schema(depth - 1);
    prop_oneof![
        simple,
        ("(items|not|contains|propertyNames|additionalProperties)", inner())
            .prop_map(|(key, it)| json!({(key): it})),
        ("(allOf|anyOf|oneOf|prefixItems)", proptest::collection::vec(inner(), 1..4))
            .prop_map(|(key, it)| json!({(key): it})),
        (inner(), inner(), inner()).prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
        (inner(), inner(), any::<bool>()).prop_map(|(a, b, rest)| {
            json!({"properties": {"type": a, "items": b}, "additionalProperties": rest})
        }),
        (inner(), inner()).prop_map(|(a, b)| {
            json!({"patternProperties": {"^a": a, "t": b}, "dependentSchemas": {"type": a.clone()}})
        }),
        inner().prop_map(|it| json!({"$ref": "#/$defs/a", "$defs": {"a": it}})),
    ]
    .boxed()
}

/// Each of many attempts fails; no reason is built for an attempt.
#[test]
fn a_long_answer_is_not_written_out_for_each_attempt() {
    let many = vec![json!({"type": "integer"}); 2500];
    let wide = vec![json!({"$ref": "#/$defs/x"}); 22];
    let wider = vec![json!({"$ref": "#/$defs/l"}); 22];
    let schema = json!({"$defs": {"x": {"anyOf": many}, "l": {"anyOf": wide}}, "anyOf": wider});
    let (value, wrong) = parse(&schema, &Value::from("x".repeat(100_000)).to_string());
    assert!(value.is_some());
    // Or that it takes too long, on a slow machine.
    let wrong = wrong.unwrap();
    assert!(wrong.len() < 300, "{wrong}");
}
