//! What lies between the functions and the simulated AWS: every call passes here, and may go wrong.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use simulator::Simulator;
use tokio::sync::Notify;

use crate::faults::{Script, Trouble};
use crate::world::{Moment, World};

/// The HTTP client of one function's invocation.
#[derive(Debug, Clone)]
pub struct Wire {
    simulator: Simulator,
    /// Who starts and describes executions for the function; nobody outside of an invocation.
    world: Option<Box<World>>,
    script: Arc<Mutex<Script>>,
    moments: Option<Arc<Mutex<Vec<Moment>>>>,
    /// Told when the function is killed.
    death: Arc<Notify>,
    /// Told when the function stands still.
    freeze: Arc<Notify>,
}

impl Wire {
    /// A wire on which nothing goes wrong.
    #[must_use]
    pub fn new(simulator: Simulator) -> Self {
        Self {
            simulator,
            world: None,
            script: Arc::default(),
            moments: None,
            death: Arc::default(),
            freeze: Arc::default(),
        }
    }

    /// The same wire for another invocation, in this world.
    #[must_use]
    pub fn for_invocation(&self, world: &World) -> Self {
        Self {
            world: Some(Box::new(world.clone())),
            death: Arc::default(),
            freeze: Arc::default(),
            ..self.clone()
        }
    }

    /// What goes wrong.
    ///
    /// # Panics
    /// Never: nobody panics while it is being changed.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// From now on keeps the world as it stands after each call.
    pub fn record(&mut self) {
        self.moments = Some(Arc::default());
    }

    /// What was kept.
    ///
    /// # Panics
    /// Never: nobody panics while it is being written.
    #[must_use]
    pub fn moments(&self) -> Vec<Moment> {
        let moments = self.moments.as_ref();
        moments.map_or_else(Vec::new, |moments| moments.lock().unwrap().clone())
    }

    /// Ends when the function is killed.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    /// Ends when the function stands still.
    pub async fn freeze(&self) {
        self.freeze.notified().await;
    }

    async fn pass(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let answer = match &self.world {
            Some(world) if target.starts_with("AWSStepFunctions.") => {
                Ok(world.step_functions.call(world, &request).await)
            }
            _ => self.simulator.call(request).await,
        };
        if let Some(moments) = &self.moments {
            moments.lock().unwrap().push(Moment::of(&self.simulator));
        }
        answer
    }

    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let trouble = self.script().next_call(&operation(&request));
        let Some(trouble) = trouble else {
            return self.pass(request).await;
        };
        if let Some(error) = trouble.injected_error() {
            self.simulator.fail_next_call(error);
            return self.pass(request).await;
        }
        match trouble {
            Trouble::AnswerLost => {
                self.pass(request).await?;
                Err(reset())
            }
            Trouble::FunctionKilled => {
                self.pass(request).await?;
                self.death.notify_one();
                pending().await
            }
            Trouble::Hangs => pending().await,
            Trouble::FunctionHangs => {
                self.freeze.notify_one();
                pending().await
            }
            _ => Err(reset()),
        }
    }
}

/// Functions have the time of the AWS that they call.
impl TimeSource for Wire {
    fn now(&self) -> SystemTime {
        self.simulator.now().into()
    }
}

fn reset() -> ConnectorError {
    ConnectorError::io("connection reset by peer".into())
}

/// What a request asks for, as far as two requests have to be told apart.
fn operation(request: &HttpRequest) -> String {
    let body = request.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let action = body.split('&').find_map(|it| it.strip_prefix("Action="));
    let target = request.headers().get("x-amz-target");
    match (action, target) {
        (Some(action), _) => action.to_owned(),
        (None, Some(target)) => target.to_owned(),
        (None, None) => {
            let path = request.uri().split('?').next().unwrap_or_default();
            let path = path.split_once("amazonaws.com").map_or(path, |it| it.1);
            format!("{} {path}", request.method())
        }
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move { wire.call(request).await })
    }
}
