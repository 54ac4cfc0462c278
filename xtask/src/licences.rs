//! Licences and sources of all dependencies, against the lists in `deny.toml`, without the network.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, ParseMode};

pub(crate) fn run() -> Result<()> {
    let allowed = allowed()?;
    let metadata = shell::output(&mut shell::cargo_with(
        "metadata --format-version 1 --locked --all-features",
    ))?;
    let metadata: Value = serde_json::from_str(&metadata).context("`cargo metadata` is no JSON")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let complaints: Vec<String> =
        packages.iter().filter_map(|package| complaint(package, &allowed)).collect();
    if !complaints.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n  {}", complaints.join("\n  "));
    }
    println!("licences and sources of {} packages are allowed", packages.len());
    Ok(())
}

fn allowed() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("deny.toml").context("cannot read deny.toml")?;
    let deny: toml::Table = text.parse().context("deny.toml is no TOML")?;
    let allow = deny.get("licenses").and_then(|l| l.get("allow")).and_then(toml::Value::as_array);
    let allow = allow.context("deny.toml has no list `licenses.allow`")?;
    Ok(allow.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
}

fn complaint(package: &Value, allowed: &[String]) -> Option<String> {
    let name = format!("{} {}", package["name"], package["version"]).replace('"', "");
    // Members and path dependencies have no source.
    if let Some(source) = package["source"].as_str()
        && !source.starts_with("registry+")
    {
        return Some(format!("{name} comes from {source}: only the registry is allowed"));
    }
    let Some(licence) = package["license"].as_str() else {
        return Some(format!("{name} names no licence"));
    };
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(format!("{name}: {licence:?} is no licence expression"));
    };
    let covered = expression.evaluate(|requirement| allowed.contains(&requirement.to_string()));
    (!covered).then(|| format!("{name} has the licence {licence}"))
}
