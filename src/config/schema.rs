//! The configuration file as a JSON schema, for editors and for the README.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The schema of the configuration file.
pub fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
}
