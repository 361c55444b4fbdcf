//! What lies between the functions and the simulated AWS: every call passes here.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use simulator::Simulator;

use crate::world::Moment;

/// The HTTP client of the functions.
#[derive(Debug, Clone)]
pub struct Wire {
    simulator: Simulator,
    moments: Option<Arc<Mutex<Vec<Moment>>>>,
}

impl Wire {
    /// A wire that passes everything on.
    #[must_use]
    pub fn new(simulator: Simulator) -> Self {
        Self {
            simulator,
            moments: None,
        }
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
        HttpConnectorFuture::new(async move {
            let answer = wire.simulator.call(request).await;
            if let Some(moments) = &wire.moments {
                moments.lock().unwrap().push(Moment::of(&wire.simulator));
            }
            answer
        })
    }
}
