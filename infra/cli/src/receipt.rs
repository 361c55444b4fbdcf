//! The receipt of a teardown: what it has removed, and what is left.

use anyhow::{Context, Result, ensure};
use functions::contract::Resource;
use serde::Deserialize;
use serde_json::Value;

use crate::summary;

/// What a teardown has removed, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// What was there before, and is gone.
    pub removed: Vec<Resource>,
    /// What is still there.
    pub left: Vec<Resource>,
}

impl Receipt {
    /// The receipt in a teardown's output.
    ///
    /// # Errors
    /// If there is none: then nobody knows what is left.
    pub fn of(output: &Value) -> Result<Self> {
        Self::deserialize(&output["receipt"]).context("the output of the teardown has no receipt")
    }

    /// Prints it. What is left is a failure.
    ///
    /// # Errors
    /// If something is left.
    pub fn conclude(&self) -> Result<()> {
        // The live view may end without a new line.
        println!();
        for (what, resources) in [("REMOVED", &self.removed), ("LEFT", &self.left)] {
            if !resources.is_empty() {
                println!("{}\n", table(what, resources));
            }
        }
        println!("{}", self.sentence()?);
        Ok(())
    }

    /// What a person wants to know of it; an error if something is left.
    fn sentence(&self) -> Result<String> {
        let removed = format!("Removed {}", count(self.removed.len()));
        ensure!(
            self.left.is_empty(),
            "{removed}, but not everything: {} left",
            count(self.left.len())
        );
        Ok(format!("{removed}; nothing is left."))
    }
}

fn count(resources: usize) -> String {
    match resources {
        1 => "1 resource".to_owned(),
        many => format!("{many} resources"),
    }
}

/// Resources by type, with their number and ids; the types in the order of their first resource.
#[must_use]
pub fn table(what: &str, resources: &[Resource]) -> String {
    let mut types: Vec<(&str, Vec<&str>)> = Vec::new();
    for Resource { kind, id } in resources {
        match types.iter_mut().find(|(name, _)| name == kind) {
            Some((_, ids)) => ids.push(id),
            None => types.push((kind, vec![id])),
        }
    }
    let mut table = summary::table();
    table.set_header([what, "COUNT", "ID"]);
    for (kind, ids) in types {
        table.add_row([kind, &ids.len().to_string(), &ids.join("\n")]);
    }
    table.to_string()
}

/// The resources that a text names: each type, as CloudFormation calls it, with the word behind it.
#[must_use]
pub fn named_in(text: &str) -> Vec<Resource> {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches([',', ';', '.', ':', '(', ')']))
        .collect();
    words
        .windows(2)
        .filter(|pair| pair[0].starts_with("AWS::") && !pair[1].is_empty())
        .map(|pair| Resource::new(pair[0], pair[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nats() -> [Resource; 3] {
        [
            Resource::new("AWS::EC2::NatGateway", "nat-1"),
            Resource::new("AWS::EC2::VPC", "vpc-1"),
            Resource::new("AWS::EC2::NatGateway", "nat-2"),
        ]
    }

    #[test]
    fn a_table_groups_ids_by_type_and_counts_them() {
        let table = table("REMOVED", &nats());
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected: [&[&str]; 4] = [
            &["REMOVED", "COUNT", "ID"],
            &["AWS::EC2::NatGateway", "2", "nat-1"],
            &["nat-2"],
            &["AWS::EC2::VPC", "1", "vpc-1"],
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_receipt_with_nothing_left_says_so() {
        let output = json!({"clusterName": "demo", "receipt": {
            "removed": [{"type": "AWS::EC2::VPC", "id": "vpc-1"}], "left": [],
        }});
        let receipt = Receipt::of(&output).unwrap();
        assert_eq!(receipt.removed, [Resource::new("AWS::EC2::VPC", "vpc-1")]);
        assert_eq!(
            receipt.sentence().unwrap(),
            "Removed 1 resource; nothing is left."
        );
        assert_eq!(
            Receipt::default().sentence().unwrap(),
            "Removed 0 resources; nothing is left."
        );
    }

    #[test]
    fn a_receipt_with_something_left_is_a_failure() {
        let receipt = Receipt {
            removed: nats().to_vec(),
            left: vec![Resource::new("AWS::EC2::Subnet", "subnet-1")],
        };
        let error = receipt.conclude().unwrap_err().to_string();
        assert_eq!(
            error,
            "Removed 3 resources, but not everything: 1 resource left"
        );
    }

    #[test]
    fn an_output_without_a_receipt_is_a_failure() {
        for output in [json!({}), json!({"receipt": {"removed": []}})] {
            let error = Receipt::of(&output).unwrap_err().to_string();
            assert!(error.contains("no receipt"), "{error}");
        }
    }

    #[test]
    fn resources_are_read_from_a_cause() {
        let cause = "Receipt: 2 resources are left: AWS::EC2::NatGateway nat-1 (deleting), \
                     AWS::IAM::Role hardway-demo-cluster.";
        assert_eq!(
            named_in(cause),
            [
                Resource::new("AWS::EC2::NatGateway", "nat-1"),
                Resource::new("AWS::IAM::Role", "hardway-demo-cluster"),
            ]
        );
        assert_eq!(named_in("something is left: AWS::EC2::VPC"), []);
    }
}
