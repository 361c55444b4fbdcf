//! Entries as parameters of Systems Manager.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::{Parameter, ParameterType};

use crate::aws::{Base, change, codes, parameters};
use crate::contract::{During, Error};
use crate::model::Target;
use crate::registry::entry::Entry;

/// CloudFormation's word for what an entry is.
pub(crate) const KIND: &str = "AWS::SSM::Parameter";

/// The variable in which the template says where the entries are.
const PATH_VARIABLE: &str = "REGISTRY_PATH";
/// Where they are if it says nothing: where the template of a stack called hardway says.
const PATH: &str = "/hardway/hardway/clusters";

const LIST: &str = "ssm:GetParametersByPath";
const PUT: &str = "ssm:PutParameter";
const DELETE: &str = "ssm:DeleteParameter";

/// The parameters below one path of the own account and region.
pub(crate) struct Store {
    ssm: Client,
    path: String,
}

impl Store {
    pub(crate) fn from_env(base: &Base) -> Self {
        let path = std::env::var(PATH_VARIABLE).unwrap_or_else(|_| PATH.to_owned());
        Self::new(Client::new(base.config()), path)
    }

    pub(crate) fn new(ssm: Client, path: String) -> Self {
        Self { ssm, path }
    }

    /// The name of a cluster's entry. It is never longer than a parameter's may be: EKS allows a cluster
    /// 100 characters, and the same ones as Systems Manager.
    pub(crate) fn name(&self, target: &Target) -> String {
        let (account, cluster) = (&target.account.id, &target.cluster_name);
        format!("{}/{account}/{}/{cluster}", self.path, target.region)
    }

    pub(crate) async fn find(&self, target: &Target) -> Result<Option<Entry>, Error> {
        let name = self.name(target);
        let found = parameters::find(&self.ssm, &name).await?;
        found.map(|it| Ok(entry(it)?.1)).transpose()
    }

    /// Every entry with its name, in the order of the names.
    pub(crate) async fn list(&self) -> Result<Vec<(String, Entry)>, Error> {
        let call = self.ssm.get_parameters_by_path();
        let call = call.path(&self.path).recursive(true).into_paginator();
        let pages: Result<Vec<_>, _> = call.send().collect().await;
        let pages = pages.during(LIST)?.into_iter();
        let found = pages.flat_map(|page| page.parameters.unwrap_or_default());
        let mut entries = found.map(entry).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries)
    }

    pub(crate) async fn create(&self, entry: &Entry) -> Result<(), Error> {
        let name = self.name(&entry.target);
        let call = self.ssm.put_parameter().name(&name).value(entry.value()?);
        let call = call.r#type(ParameterType::String);
        match change(PUT, &name, call.send()).await {
            // Another execution's, or an earlier attempt's whose answer was lost: the next look says.
            Err(error) if error.code() == Some(codes::PARAMETER_ALREADY_EXISTS) => {
                return Err(Error::NotYetVisible(format!("{name} was made meanwhile")));
            }
            answer => answer.during(PUT)?,
        };
        Ok(())
    }

    /// Writes an entry that is there; `false` if there is none. Without a type Systems Manager makes no
    /// parameter: so an entry that was deleted meanwhile does not come back.
    pub(crate) async fn update(&self, entry: &Entry) -> Result<bool, Error> {
        let name = self.name(&entry.target);
        let call = self.ssm.put_parameter().name(&name).value(entry.value()?);
        let call = call.overwrite(true);
        match change(PUT, &name, call.send()).await {
            Err(error) if is_type_required(&error) => return Ok(false),
            answer => answer.during(PUT)?,
        };
        Ok(true)
    }

    /// Deletes an entry; `false` if there was none.
    pub(crate) async fn delete(&self, target: &Target) -> Result<bool, Error> {
        let name = self.name(target);
        // Looking first keeps a second teardown from changing, or trying to change, anything.
        if parameters::find(&self.ssm, &name).await?.is_none() {
            return Ok(false);
        }
        let call = self.ssm.delete_parameter().name(&name);
        match change(DELETE, &name, call.send()).await {
            Err(error) if is_missing(&error) => return Ok(false),
            answer => answer.during(DELETE)?,
        };
        Ok(true)
    }
}

fn entry(parameter: Parameter) -> Result<(String, Entry), Error> {
    let name = parameter.name.unwrap_or_default();
    let entry = Entry::parse(&name, parameter.value.as_deref().unwrap_or_default())?;
    Ok((name, entry))
}

fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some(codes::PARAMETER_NOT_FOUND)
}

fn is_type_required<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let says = |message: &str| message.contains(codes::PARAMETER_TYPE_REQUIRED_MESSAGE);
    error.code() == Some(codes::VALIDATION) && error.message().is_some_and(says)
}
