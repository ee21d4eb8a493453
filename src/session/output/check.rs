//! Whether an answer fits a schema, in so many steps and so much time at most: parts that refer to each other can ask for
//! more work than there is time, and only counting what is done tells.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::{
    numbers::{compare, is_multiple, is_whole, key},
    schema::{Schema, object},
};

/// How much an answer may cost to check; about a second.
const STEPS: usize = 4_000_000;

/// How long it may take, on a machine that needs more for a step.
const TIME: Duration = Duration::from_secs(3);

/// After how many payments the clock is looked at.
const LOOK: u32 = 256;

/// How deep parts may lie in each other.
const DEEPEST: usize = 192;

/// What a character costs that is matched against a pattern: about as many states can be looked at for it.
const PER_BYTE: usize = 16;

/// Why an answer does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is wrong there.
    Wrong { place: String, reason: String },
    /// It takes too long to say.
    TooMuch,
}

type Checked = Result<(), Fault>;

/// Checks an answer.
pub(super) fn check(schema: &Schema<'_>, answer: &Value) -> Checked {
    let end = Instant::now() + TIME;
    let mut check =
        Check { schema, left: STEPS, end, paid: 0, tries: 0, depth: 0, place: Vec::new() };
    check.part(schema.root, answer)
}

struct Check<'a> {
    schema: &'a Schema<'a>,
    left: usize,
    end: Instant,
    paid: u32,
    /// How many attempts this is within: what is wrong in one is not reported.
    tries: usize,
    depth: usize,
    /// Where in the answer.
    place: Vec<String>,
}

impl Check<'_> {
    fn spend(&mut self, steps: usize) -> Checked {
        self.left = self.left.checked_sub(steps).ok_or(Fault::TooMuch)?;
        self.paid = self.paid.wrapping_add(1);
        let is_late = self.paid.is_multiple_of(LOOK) && Instant::now() > self.end;
        if is_late { Err(Fault::TooMuch) } else { Ok(()) }
    }

    fn wrong(&self, reason: String) -> Fault {
        if self.tries > 0 {
            return Fault::Wrong { place: String::new(), reason };
        }
        let escaped = self.place.iter().map(|part| part.replace('~', "~0").replace('/', "~1"));
        let place = escaped.flat_map(|part| ["/".to_owned(), part]).collect();
        Fault::Wrong { place, reason }
    }

    fn want(&self, holds: bool, reason: impl FnOnce() -> String) -> Checked {
        match holds {
            true => Ok(()),
            false if self.tries > 0 => Err(self.wrong(String::new())),
            false => Err(self.wrong(reason())),
        }
    }

    fn part(&mut self, part: &Value, value: &Value) -> Checked {
        let Some(part) = object(part) else {
            return self.want(part != &Value::Bool(false), || "nothing is allowed".to_owned());
        };
        self.spend(1 + part.len())?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::TooMuch);
        }
        self.value(part, value)?;
        match value {
            Value::String(text) => self.text(part, text)?,
            Value::Array(items) => self.items(part, items)?,
            Value::Object(members) => self.members(part, members)?,
            _ => {}
        }
        self.parts(part, value)?;
        self.depth -= 1;
        Ok(())
    }

    /// Whether it fits, where that it does not is no fault. What costs too much is one.
    fn fits(&mut self, part: &Value, value: &Value) -> Result<bool, Fault> {
        let (depth, place) = (self.depth, self.place.len());
        self.tries += 1;
        let checked = self.part(part, value);
        self.tries -= 1;
        match checked {
            Ok(()) => Ok(true),
            Err(Fault::TooMuch) => Err(Fault::TooMuch),
            Err(Fault::Wrong { .. }) => {
                self.depth = depth;
                self.place.truncate(place);
                Ok(false)
            }
        }
    }

    fn inner(&mut self, name: impl Into<String>, part: &Value, value: &Value) -> Checked {
        self.place.push(name.into());
        self.part(part, value)?;
        self.place.pop();
        Ok(())
    }

    /// What is said of values of any type.
    fn value(&mut self, part: &Map<String, Value>, value: &Value) -> Checked {
        if let Some(types) = part.get("type") {
            let fits = match types {
                Value::Array(all) => all.iter().any(|name| has_type(value, name)),
                name => has_type(value, name),
            };
            self.want(fits, || format!("{} is not of type {types}", short(value)))?;
        }
        for (keyword, allowed) in
            part.iter().filter(|(keyword, _)| matches!(keyword.as_str(), "enum" | "const"))
        {
            let wanted = key(value);
            let allowed = match (keyword.as_str(), allowed) {
                ("enum", Value::Array(all)) => all.as_slice(),
                (_, one) => std::slice::from_ref(one),
            };
            self.spend(wanted.len() / 8)?;
            let mut found = false;
            for one in allowed {
                let one = key(one);
                self.spend(1 + one.len() / 8)?;
                found |= one == wanted;
            }
            self.want(found, || format!("{} is none of the values of `{keyword}`", short(value)))?;
        }
        let Value::Number(number) = value else { return Ok(()) };
        for (keyword, limit) in part {
            let Value::Number(limit) = limit else { continue };
            let order = compare(number, limit);
            let holds = match keyword.as_str() {
                "minimum" => order.is_some_and(std::cmp::Ordering::is_ge),
                "maximum" => order.is_some_and(std::cmp::Ordering::is_le),
                "exclusiveMinimum" => order.is_some_and(std::cmp::Ordering::is_gt),
                "exclusiveMaximum" => order.is_some_and(std::cmp::Ordering::is_lt),
                "multipleOf" => is_multiple(number, limit),
                _ => true,
            };
            self.want(holds, || format!("{number} does not hold `{keyword}` {limit}"))?;
        }
        Ok(())
    }

    fn count(&self, part: &Map<String, Value>, kind: &str, count: usize) -> Checked {
        for (bound, is_least) in [("min", true), ("max", false)] {
            let Some(limit) = part.get(&format!("{bound}{kind}")).and_then(Value::as_u64) else {
                continue;
            };
            let holds = if is_least { count as u64 >= limit } else { count as u64 <= limit };
            self.want(holds, || format!("{count} does not hold `{bound}{kind}` {limit}"))?;
        }
        Ok(())
    }

    fn text(&mut self, part: &Map<String, Value>, text: &str) -> Checked {
        self.spend(text.len() / 64)?;
        self.count(part, "Length", text.chars().count())?;
        if let Some(pattern) = part.get("pattern").and_then(Value::as_str) {
            self.spend(text.len() * PER_BYTE)?;
            let fits = self.schema.matches(pattern, text);
            self.want(fits, || format!("{} does not match `{pattern}`", short(&text.into())))?;
        }
        Ok(())
    }

    fn items(&mut self, part: &Map<String, Value>, items: &[Value]) -> Checked {
        self.count(part, "Items", items.len())?;
        let list = |name: &str| part.get(name).and_then(Value::as_array);
        // The first ones each have their own: `prefixItems`, or `items` of older drafts.
        let (first, rest) = match (list("prefixItems"), list("items")) {
            (Some(first), _) => (Some(first), part.get("items")),
            (None, Some(first)) => (Some(first), part.get("additionalItems")),
            (None, None) => (None, part.get("items")),
        };
        let first = first.map(Vec::as_slice).unwrap_or_default();
        for (number, item) in items.iter().enumerate() {
            if let Some(one) = first.get(number).or(rest) {
                self.inner(number.to_string(), one, item)?;
            }
        }
        if let Some(contains) = part.get("contains") {
            let mut count = 0;
            for item in items {
                count += usize::from(self.fits(contains, item)?);
            }
            let least = part.get("minContains").and_then(Value::as_u64).unwrap_or(1);
            self.want(count as u64 >= least, || "too few items are as `contains` says".to_owned())?;
            let most = part.get("maxContains").and_then(Value::as_u64).unwrap_or(u64::MAX);
            self.want(count as u64 <= most, || "too many items are as `contains` says".to_owned())?;
        }
        if part.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = BTreeSet::new();
            for item in items {
                let item = key(item);
                self.spend(1 + item.len() / 8)?;
                self.want(seen.insert(item), || "two items are equal".to_owned())?;
            }
        }
        Ok(())
    }

    fn members(&mut self, part: &Map<String, Value>, members: &Map<String, Value>) -> Checked {
        self.count(part, "Properties", members.len())?;
        let names = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let mut required = part.get("required").map(names).unwrap_or_default();
        let dependent = part.get("dependentRequired").and_then(Value::as_object);
        for (name, others) in dependent.into_iter().flatten() {
            if members.contains_key(name) {
                required.extend(names(others));
            }
        }
        self.spend(required.len())?;
        for name in required {
            self.want(members.contains_key(&name), || format!("`{name}` is missing"))?;
        }
        let object = |keyword: &str| part.get(keyword).and_then(Value::as_object);
        let (own, patterns) = (object("properties"), object("patternProperties"));
        let rest = part.get("additionalProperties");
        for (name, value) in members {
            let mut is_known = false;
            if let Some(one) = own.and_then(|own| own.get(name)) {
                is_known = true;
                self.inner(name, one, value)?;
            }
            for (pattern, one) in patterns.into_iter().flatten() {
                self.spend(1 + name.len() * PER_BYTE)?;
                if self.schema.matches(pattern, name) {
                    is_known = true;
                    self.inner(name, one, value)?;
                }
            }
            if let Some(rest) = rest.filter(|_| !is_known) {
                let is_refused = rest == &Value::Bool(false);
                self.want(!is_refused, || format!("`{name:.80}` is not among the properties"))?;
                self.inner(name, rest, value)?;
            }
            if let Some(one) = part.get("propertyNames") {
                self.inner(name, one, &Value::from(name.as_str()))?;
            }
        }
        Ok(())
    }

    /// What other parts of the schema say of the same value.
    fn parts(&mut self, part: &Map<String, Value>, value: &Value) -> Checked {
        if let Some(reference) = part.get("$ref").and_then(Value::as_str)
            && let Some(other) = self.schema.referred(reference)
        {
            self.spend(reference.len())?;
            self.part(other, value)?;
        }
        let list = |name: &str| part.get(name).and_then(Value::as_array);
        for one in list("allOf").into_iter().flatten() {
            self.part(one, value)?;
        }
        if let Some(all) = list("anyOf") {
            let mut fits = false;
            for one in all {
                fits = fits || self.fits(one, value)?;
            }
            self.want(fits, || format!("{} is as none of `anyOf` says", short(value)))?;
        }
        if let Some(all) = list("oneOf") {
            let mut count = 0;
            for one in all {
                count += usize::from(self.fits(one, value)?);
            }
            self.want(count == 1, || {
                format!("{} is as {count} of `oneOf` say, and not as one", short(value))
            })?;
        }
        if let Some(one) = part.get("not") {
            let fits = self.fits(one, value)?;
            self.want(!fits, || format!("{} is as `not` says", short(value)))?;
        }
        if let Some(condition) = part.get("if") {
            let branch = if self.fits(condition, value)? { "then" } else { "else" };
            if let Some(one) = part.get(branch) {
                self.part(one, value)?;
            }
        }
        let dependent = part.get("dependentSchemas").and_then(Value::as_object);
        for (name, one) in dependent.into_iter().flatten() {
            if value.get(name).is_some() {
                self.part(one, value)?;
            }
        }
        Ok(())
    }
}

fn has_type(value: &Value, name: &Value) -> bool {
    match (name.as_str().unwrap_or_default(), value) {
        ("integer", Value::Number(number)) => is_whole(number),
        ("array", Value::Array(_))
        | ("boolean", Value::Bool(_))
        | ("null", Value::Null)
        | ("number", Value::Number(_))
        | ("object", Value::Object(_))
        | ("string", Value::String(_)) => true,
        _ => false,
    }
}

/// A value for a message.
fn short(value: &Value) -> String {
    match value {
        Value::Array(_) => "the list".to_owned(),
        Value::Object(_) => "the object".to_owned(),
        // Not the whole of it, which may be long.
        Value::String(text) => Value::from(text.chars().take(80).collect::<String>()).to_string(),
        other => other.to_string(),
    }
}
