-- kong.vault: what references are, the secrets they stand for, and configurations brought up to date with
-- them.

local reference = require("moongate.vault.reference")
local refs = require("moongate.vault.refs")

local type, ipairs, pairs, concat = type, ipairs, pairs, table.concat
local is_reference = reference.is_reference

local function new(self)
  local vault = {}
  local kept, renewed -- the caches: most gateways have no secrets
  local armed

  local function secrets()
    if not kept then
      kept = require("moongate.vault.secrets").new(self)
      renewed = require("resty.lrucache").new(1000)
      kept.armed = armed
    end
    return kept
  end

  local function log()
    return self and self.log or kong.log
  end

  -- A configuration is brought up to date from the caches alone; what they don't have is "".
  local function refresh(ref, record, field)
    local value, err = secrets():get(ref, true)
    if err then
      log().warn("error updating secret reference ", ref, ": ", err)
    end
    record[field] = value or ""
  end

  vault.is_reference = is_reference
  vault.parse_reference = reference.parse

  --- The secret that a reference stands for, or nil and why there is none.
  function vault.get(ref)
    return secrets():get(ref)
  end

  --- Brings the fields of `options` that its `$refs` name up to date, in place.
  function vault.update(options)
    refs.each(options, refresh)
    return options
  end

  --- The same for a configuration whose references were collected once (the plugin loop's).
  function vault._update_places(places)
    for i = 1, #places do
      local place = places[i]
      refresh(place[1], place[2], place[3])
    end
  end

  --- Calls `callback(options)`; where that fails and `options` came from references, once more with new
  --- secrets.
  function vault.try(callback, options)
    local references = refs.sorted(options)
    if not references then
      return callback(options)
    end
    local own = secrets()
    local name = "vault.try:" .. require("ngx.base64").encode_base64url(ngx.md5_bin(concat(references, ".")))
    local before = renewed:get(name) or 0
    local result = callback(vault.update(options))
    if result then
      return result
    end
    -- others may have had the same failure and got new secrets meanwhile
    if before == (renewed:get(name) or 0) then
      require("kong.concurrency").with_coroutine_mutex({ name = name, timeout = own.INTERVAL }, function()
        if before == (renewed:get(name) or 0) then
          own:renew_all(references)
          ngx.update_time()
          renewed:set(name, ngx.now() * 1000)
        end
      end)
    end
    return callback(vault.update(options))
  end

  --- Forgets the secrets of this worker and renews those of all.
  function vault.flush()
    if kept then
      kept:flush()
    end
  end

  --- Lets secrets be rotated from the first one on.
  function vault.init_worker()
    armed = true
    if kept then
      kept.armed = true
    end
  end

  --- Gets every reference in `input`, keys and values, into the caches.
  function vault.warmup(input)
    for key, value in pairs(input) do
      for _, part in ipairs { key, value } do
        if type(part) == "table" then
          vault.warmup(part)
        elseif is_reference(part) then
          secrets():get(part)
        end
      end
    end
  end

  return vault
end

return {
  new = new,
  is_reference = is_reference,
  parse_reference = reference.parse,
}
