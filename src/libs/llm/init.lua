-- `kong.llm`: what the AI plugins share: the schema of their configuration, the kinds of requests, and asking a
-- model to rewrite a text. The drivers that talk to providers (`kong.llm.drivers.*`) are not here; Kong's own are
-- taken from the drop-in folder.

local M = { config_schema = require "kong.llm.schemas" }

local CHAT, COMPLETIONS = "llm/v1/chat", "llm/v1/completions"

local function kind_of(request)
  local chat = type(request.messages) == "table" and #request.messages > 0
  local completions = type(request.prompt) == "string"
  if chat and completions then
    return nil, "request matches multiple LLM request formats"
  elseif not chat and not completions then
    return nil, "request format not recognised"
  end
  return chat and CHAT or COMPLETIONS
end

--- Whether a request is one for `route_type`: true; false and an error; nil and an error if it is of no kind.
function M.is_compatible(request, route_type)
  if route_type == "preserve" then
    return true
  end
  local kind, err = kind_of(request)
  if not kind then
    return nil, err
  elseif kind == route_type then
    return true
  end
  return false, ("[%s] message format is not compatible with [%s] route type"):format(kind, route_type)
end

local LLM = {}
LLM.__index = LLM

--- Headers, body and status that a model answered with; the fourth value is an error.
function LLM:parse_json_instructions(answer)
  if type(answer) == "string" then
    local err
    answer, err = require("cjson.safe").decode(answer)
    if err then
      return nil, nil, nil, err
    end
  end
  if type(answer) ~= "table" then
    return nil, nil, nil, "input not table or string"
  end
  return answer.headers, answer.body or answer, answer.status or 200
end

local function message(role, content)
  return { role = role, content = content }
end

-- The conversation in which a model gets a text and what to do with it. Some models know no system messages.
local function conversation(self, text, prompt)
  local model = self.conf.model
  if model.provider == "bedrock" then
    for _, pattern in ipairs(self.driver.bedrock_unsupported_system_role_patterns) do
      if model.name:find(pattern) then
        local asked = message("assistant", "What is the message?")
        return { message("user", prompt), asked, message("user", text) }
      end
    end
  end
  return { message("system", prompt), message("user", text) }
end

--- What the model makes of a text by a prompt; of its answer only what `pattern` finds, if there is one. Nil and
--- an error otherwise.
function LLM:ai_introspect_body(text, prompt, http_opts, pattern)
  local shared, conf, driver = require "kong.llm.drivers.shared", self.conf, self.driver
  local request = { messages = conversation(self, text, prompt), stream = false }
  local answer, err, _
  request, _, err = driver.to_format(request, conf.model, CHAT)
  if err then
    return nil, err
  end
  shared.pre_request(conf, request)
  answer, _, err = driver.subrequest(request, conf, http_opts, false, self.identity_interface)
  if err then
    return nil, "failed to introspect request with AI service: " .. err
  end
  answer, err = driver.from_format(answer, conf.model, conf.route_type)
  if err then
    return nil, "failed to convert AI response to Kong format: " .. err
  end
  shared.post_request(conf, answer)
  answer, err = require("cjson.safe").decode(answer)
  if err then
    return nil, "failed to convert AI response to JSON: " .. err
  end
  local choice = answer.choices and answer.choices[1]
  local made = choice and choice.message and choice.message.content
  if not made then
    return nil, "no 'choices' in upstream AI service response"
  elseif not pattern then
    return made
  end
  local found
  found, err = ngx.re.match(made, pattern, "ijom")
  if err then
    return nil, "failed regex matching ai response: " .. err
  elseif not found then
    return nil, "AI response did not match specified regular expression"
  end
  return found[0]
end

--- An object that talks to the provider of a configuration; nil and an error where there is no driver.
function M.new_driver(conf, http_opts, identity_interface)
  local self = setmetatable({
    conf = conf or {}, http_opts = http_opts or {}, identity_interface = identity_interface,
  }, LLM)
  self.provider = (self.conf.model or {}).provider or "NONE_SET"
  local name = "kong.llm.drivers." .. self.provider
  local ok, driver = pcall(require, name)
  if not ok then
    local err = "could not instantiate " .. name .. " package"
    kong.log.err(err)
    return nil, err
  end
  self.driver = driver
  return self
end

return M
