//! The plugins that are linked into the binary.

use std::sync::Arc;

use aurora_sdk::Plugin;

pub(super) fn all() -> Vec<Arc<dyn Plugin>> {
    vec![
        Arc::new(aurora_plugin_auth::Auth),
        Arc::new(aurora_plugin_chat::Chat),
        Arc::new(aurora_plugin_files::Files),
        Arc::new(aurora_plugin_images::Images),
        Arc::new(aurora_plugin_models::Models),
        Arc::new(aurora_plugin_passthrough::Passthrough),
        Arc::new(aurora_plugin_responses::Responses),
        Arc::new(aurora_plugin_transcribe::Transcribe),
        Arc::new(aurora_plugin_tts::Tts),
    ]
}
