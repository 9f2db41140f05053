-- `kong.llm`: what the AI plugins share: the schema of their configuration and the kinds of requests. The drivers
-- that talk to providers are not here.

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

function LLM:ai_introspect_body()
  error("not supported: kong.llm.drivers", 2)
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
