-- `kong.llm.schemas`: how the AI plugins say which model they talk to and how.

local typedefs = require "kong.db.schema.typedefs"

-- A field that may be left out.
local function optional(kind, description, more)
  local field = { type = kind, required = false, description = description }
  for k, v in pairs(more or {}) do field[k] = v end
  return field
end

local secret = { encrypted = true, referenceable = true }
local referenceable = { referenceable = true }

local auth = optional("record", nil, { fields = {
  { header_name = optional("string", "The header that carries the key.", referenceable) },
  { header_value = optional("string", "What the header has in it, such as `Bearer` and the key.", secret) },
  { param_name = optional("string", "The parameter that carries the key.", referenceable) },
  { param_value = optional("string", "What the parameter has in it.", secret) },
  { param_location = optional("string", "Where the parameter goes.", { one_of = { "query", "body" } }) },
  { gcp_use_service_account = optional("boolean", "Use a service account with Google's models.",
    { default = false }) },
  { gcp_service_account_json = optional("string", "The service account as JSON; without it, the environment's "
    .. "`GCP_SERVICE_ACCOUNT`.", referenceable) },
  { aws_access_key_id = optional("string", "The access key for AWS, instead of the environment's.", secret) },
  { aws_secret_access_key = optional("string", "The secret key for AWS, instead of the environment's.", secret) },
  { allow_override = optional("boolean", "Whether a request may bring a key of its own.", { default = false }) },
} })

local gemini = optional("record", nil, {
  fields = {
    { api_endpoint = optional("string", "The regional endpoint of Vertex (host only).") },
    { project_id = optional("string", "The project's id on Vertex.") },
    { location_id = optional("string", "The location's id on Vertex.") },
  },
  entity_checks = { { mutually_required = { "api_endpoint", "project_id", "location_id" } } },
})

local bedrock = optional("record", nil, { fields = {
  { aws_region = optional("string", "The AWS region, instead of the environment's.") },
} })

local huggingface = optional("record", nil, { fields = {
  { use_cache = optional("boolean", "Whether answers may come from the API's cache.") },
  { wait_for_model = optional("boolean", "Whether to wait for a model that is not ready.") },
} })

local options = optional("record", "Settings of the model.", { fields = {
  { max_tokens = optional("integer", "The most tokens in an answer.") },
  { input_cost = optional("number", "What a million tokens of the prompt cost.", { gt = 0 }) },
  { output_cost = optional("number", "What a million tokens of the answer cost.", { gt = 0 }) },
  { temperature = optional("number", "The temperature of sampling.", { between = { 0, 5 } }) },
  { top_p = optional("number", "The probability mass sampled from.", { between = { 0, 1 } }) },
  { top_k = optional("integer", "The number of likeliest tokens sampled from.", { between = { 0, 500 } }) },
  { anthropic_version = optional("string", "The version of Anthropic's API.") },
  { azure_instance = optional("string", "The instance's name on Azure.") },
  { azure_api_version = optional("string", "The version of Azure's API.", { default = "2023-05-15" }) },
  { azure_deployment_id = optional("string", "The deployment's id on Azure.") },
  { llama2_format = optional("string", "The upstream's format of messages, for llama2.",
    { one_of = { "raw", "openai", "ollama" } }) },
  { mistral_format = optional("string", "The upstream's format of messages, for mistral.",
    { one_of = { "openai", "ollama" } }) },
  { upstream_url = typedefs.url { required = false, description = "The whole URL to call, for models of one's own." } },
  { upstream_path = optional("string", "The path to call, instead of the operation's own.", { deprecation = {
    message = "llm: config.model.options.upstream_path is deprecated, please use config.model.options.upstream_url "
      .. "instead",
    removal_in_version = "4.0",
  } }) },
  { gemini = gemini },
  { bedrock = bedrock },
  { huggingface = huggingface },
} })

local PROVIDERS = {
  "openai", "azure", "anthropic", "cohere", "mistral", "llama2", "gemini", "bedrock", "huggingface",
}

local model = { type = "record", required = true, fields = {
  { provider = { type = "string", required = true, one_of = PROVIDERS, description = "Whose format is spoken." } },
  { name = optional("string", "The model's name.") },
  { options = options },
} }

local function switch(description)
  return { type = "boolean", required = true, default = false, description = description }
end

local logging = { type = "record", required = true, fields = {
  { log_statistics = switch "Whether usage and token counts go to the log." },
  { log_payloads = switch "Whether requests and answers go to the log." },
} }

-- Some options have to be set with some providers.
local function needs(provider, field, words)
  return { conditional_at_least_one_of = {
    if_field = "model.provider",
    if_match = { one_of = { provider } },
    then_at_least_one_of = { "model.options." .. field },
    then_err = words or "must set %s for " .. provider .. " provider",
  } }
end

return {
  type = "record",
  fields = {
    { route_type = {
      type = "string",
      required = true,
      one_of = { "llm/v1/chat", "llm/v1/completions", "preserve" },
      description = "The kind of operation; `preserve` passes everything through as it is.",
    } },
    { auth = auth },
    { model = model },
    { logging = logging },
  },
  entity_checks = {
    { conditional = {
      if_field = "model.provider",
      if_match = { one_of = { "bedrock", "gemini" } },
      then_field = "auth.allow_override",
      then_match = { eq = false },
      then_err = "bedrock and gemini only support auth.allow_override = false",
    } },
    { mutually_required = { "auth.header_name", "auth.header_value" } },
    { mutually_required = { "auth.param_name", "auth.param_value", "auth.param_location" } },
    needs("llama2", "llama2_format"),
    needs("mistral", "mistral_format"),
    needs("anthropic", "anthropic_version"),
    needs("azure", "azure_instance"),
    needs("azure", "azure_api_version"),
    needs("azure", "azure_deployment_id"),
    needs("llama2", "upstream_url", "must set %s for self-hosted providers/models"),
    { custom_entity_check = {
      field_sources = { "route_type", "model", "logging" },
      fn = function(entity)
        local provider = entity.model.provider
        if entity.logging.log_statistics and entity.route_type == "llm/v1/completions" and provider == "anthropic" then
          return nil, provider .. " does not support statistics when route_type is " .. entity.route_type
        end
        return true
      end,
    } },
  },
}
