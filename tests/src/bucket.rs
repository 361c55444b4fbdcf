//! A bucket of S3, as far as a Distributed Map uses one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::Failure;

/// The bucket's name.
pub const NAME: &str = "hardway-fleet-bucket";

/// A bucket. Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    objects: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Bucket {
    /// Puts an object.
    ///
    /// # Panics
    /// Never: nobody panics while it is being changed.
    pub fn put(&self, key: &str, body: impl Into<String>) {
        let mut objects = self.objects.lock().unwrap();
        objects.insert(key.to_owned(), body.into());
    }

    /// The object with this key, which is JSON.
    ///
    /// # Panics
    /// If there is none, or it is not JSON.
    #[must_use]
    pub fn json(&self, key: &str) -> Value {
        let objects = self.objects.lock().unwrap();
        let object = objects
            .get(key)
            .unwrap_or_else(|| panic!("no object {key}"));
        serde_json::from_str(object).unwrap()
    }

    /// The keys that begin so.
    ///
    /// # Panics
    /// Never: nobody panics while it is being changed.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let objects = self.objects.lock().unwrap();
        let keys = objects.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }

    /// `GetObject` for a Map state's reader.
    pub(crate) fn get_object(&self, request: &Value) -> Result<Value, Failure> {
        check(request)?;
        let key = request["Key"].as_str().unwrap_or_default();
        match self.objects.lock().unwrap().get(key) {
            Some(body) => Ok(json!({"Body": body})),
            None => Err(Failure::new(
                "S3.NoSuchKeyException",
                format!("The specified key does not exist. (Bucket: {NAME}, Key: {key})"),
            )),
        }
    }

    /// `PutObject` for a Map state's writer.
    pub(crate) fn put_object(&self, request: &Value) -> Result<Value, Failure> {
        check(request)?;
        let text = |member: &str| request[member].as_str().unwrap_or_default();
        self.put(text("Key"), text("Body"));
        Ok(json!({}))
    }
}

fn check(request: &Value) -> Result<(), Failure> {
    if request["Bucket"] == NAME {
        return Ok(());
    }
    let cause = "The specified bucket does not exist";
    Err(Failure::new("S3.NoSuchBucketException", cause))
}
