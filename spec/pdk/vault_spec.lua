-- kong.vault over strategies made here: what they are asked, what is kept of their answers and for how long.

local ffi = require "ffi"
local cjson = require "cjson"

pcall(ffi.cdef, "int setenv(const char *, const char *, int); int unsetenv(const char *);")

local FIELDS = {
  { prefix = { type = "string" } },
  { ttl = { type = "number" } },
  { neg_ttl = { type = "number" } },
  { resurrect_ttl = { type = "number" } },
  { min_ttl = { type = "number" } },
  { max_ttl = { type = "number" } },
  { flag = { type = "boolean" } },
}

-- A strategy `name` that answers by `secrets[resource]`, a value or a function, and keeps what it was asked.
local function strategy(name)
  local made = { asked = {}, secrets = {}, VERSION = "1.0" }
  function made.get(conf, resource, version)
    made.asked[#made.asked + 1] = { conf = conf, resource = resource, version = version }
    local secret = made.secrets[resource]
    if type(secret) == "function" then
      return secret(conf, version)
    end
    return secret
  end
  package.loaded["kong.vaults." .. name] = made
  package.loaded["kong.vaults." .. name .. ".schema"] = {
    name = name,
    fields = { { config = { type = "record", fields = FIELDS } } },
  }
  return made
end

local count = 0

describe("B7 vault", function()
  local lines, mock, pdk, vault

  -- each test has a strategy of its own: the shared tier outlives a vault
  before_each(function()
    count = count + 1
    local name = "mock" .. count
    mock = strategy(name)
    mock.name = name
    mock.ref = function(rest)
      return "{vault://" .. name .. "/" .. rest .. "}"
    end
    lines = {}
    local function log(level)
      return function(...)
        local text = { level, " " }
        for i = 1, select("#", ...) do
          text[#text + 1] = tostring((select(i, ...)))
        end
        lines[#lines + 1] = table.concat(text)
      end
    end
    pdk = {
      configuration = { loaded_vaults = { env = true, [name] = true } },
      log = { warn = log("warn"), notice = log("notice"), err = log("err") },
    }
    vault = require("kong.pdk.vault").new(pdk)
  end)

  describe("references", function()
    it("are told from other values", function()
      local is = require("kong.pdk.vault").is_reference
      for _, yes in ipairs { "{vault://a/b}", "{vault://}", "{vault://a b}" } do
        assert.is_true(is(yes))
      end
      for _, no in ipairs {
        "", "{", "{vault:/a/b}", "{vault://a/b", "vault://a/b}", " {vault://a/b}", 1, true, {},
      } do
        assert.is_false(is(no))
      end
      assert.is_false(is(nil))
    end)

    it("have parts", function()
      assert.same({ name = "env", resource = "a/b", key = "c", config = { p = "1", q = true }, version = 3 },
        vault.parse_reference("{vault://env//a/b//c?p=1&q#3}"))
      assert.same({ name = "env", resource = "a b", key = "c/d" },
        vault.parse_reference("{vault://env/a%20b/c%2Fd}"))
      assert.same({ name = "env", resource = "a/b" }, vault.parse_reference("{vault://env/a/b/}"))
    end)

    it("are refused with a reason", function()
      for text, why in pairs {
        ["x"] = "not a reference [x]",
        ["{vault://}"] = "reference url is missing host [{vault://}]",
        ["{vault://env}"] = "reference url is missing path [{vault://env}]",
        ["{vault://env/}"] = "reference url has empty path [{vault://env/}]",
        ["{vault://env//}"] = "reference url has invalid path [{vault://env//}]",
        ["{vault://env/a#b}"] = "reference url has invalid version [{vault://env/a#b}]",
      } do
        assert.same({ n = 2, nil, why }, table.pack(vault.parse_reference(text)))
        assert.same({ n = 2, nil, why }, table.pack(vault.get(text)))
      end
      assert.same({ n = 2, nil, "not a reference [nil]" }, table.pack(vault.parse_reference(nil)))
    end)
  end)

  describe("get", function()
    it("asks once and remembers, also for other vaults of the process", function()
      mock.secrets.a = "one"
      assert.equal("one", vault.get(mock.ref("a")))
      mock.secrets.a = "two"
      assert.equal("one", vault.get(mock.ref("a")))
      assert.equal("one", require("kong.pdk.vault").new(pdk).get(mock.ref("a")))
      assert.equal(1, #mock.asked)
      assert.same({ conf = {}, resource = "a" }, mock.asked[1])
    end)

    it("hands over configuration and version", function()
      mock.secrets.a = "x"
      pdk.configuration["vault_" .. mock.name .. "_prefix"] = "p"
      pdk.configuration["vault_" .. mock.name .. "_ttl"] = "10"
      vault = require("kong.pdk.vault").new(pdk)
      vault.get(mock.ref("a"))
      vault.get(mock.ref("a?prefix=q&flag=true&ttl=x&unknown=1#2"))
      assert.same({ conf = { prefix = "p", ttl = 10 }, resource = "a" }, mock.asked[1])
      assert.same({ conf = { prefix = "q", flag = true }, resource = "a", version = 2 }, mock.asked[2])
    end)

    it("takes fields out of JSON", function()
      mock.secrets.a = cjson.encode { user = "u", port = 1, none = cjson.null, list = {} }
      mock.secrets.plain = "text"
      assert.equal("u", vault.get(mock.ref("a/user")))
      for field, why in pairs {
        other = "subfield other not found in JSON secret",
        port = "unexpected number value in JSON secret for subfield port",
        none = "unexpected userdata value in JSON secret for subfield none",
        list = "unexpected table value in JSON secret for subfield list",
      } do
        local value, err = vault.get(mock.ref("a/" .. field))
        assert.is_nil(value)
        why = "could not get subfield value: " .. why
        assert.equal("could not get value from external vault (" .. why .. ")", err)
      end
      local _, err = vault.get(mock.ref("plain/field"))
      assert.matches("could not get subfield value: unable to json decode value (nil): ", err, 1, true)
    end)

    it("says why there is nothing, once; then it is known not to be there", function()
      mock.secrets.broken = function()
        return nil, "no connection"
      end
      mock.secrets.number = function()
        return 5
      end
      for resource, why in pairs {
        absent = "no value found",
        broken = "no value found (no connection)",
        number = "value returned from vault has invalid type (number), string expected",
      } do
        assert.same({ n = 2, nil, "could not get value from external vault (" .. why .. ")" },
          table.pack(vault.get(mock.ref(resource))))
        assert.is_nil((vault.get(mock.ref(resource))))
        assert.is_nil((select(2, vault.get(mock.ref(resource)))))
      end
      assert.equal(3, #mock.asked)
    end)

    it("keeps an empty secret", function()
      mock.secrets.a = ""
      assert.same({ n = 1, "" }, table.pack(vault.get(mock.ref("a"))))
    end)

    it("knows vaults by name, others by prefix from the database", function()
      local _, err = vault.get("{vault://none/a}")
      assert.equal("unable to retrieve config from db", err)
      local rows = { mine = { name = mock.name, prefix = "mine", config = { prefix = "p", ttl = 7 } } }
      local schema = require("kong.db.schema").new(require("kong.db.schema.entities.vaults"))
      assert(schema:new_subschema(mock.name, require("kong.vaults." .. mock.name .. ".schema")))
      pdk.db = {
        vaults = {
          strategies = { [mock.name] = mock },
          schema = schema,
          select_by_prefix = function(_, prefix, options)
            assert.equal(ngx.null, options.workspace)
            if prefix == "broken" then
              return nil, "[off] no"
            end
            return rows[prefix]
          end,
        },
      }
      mock.secrets.a = "x"
      assert.equal("x", vault.get("{vault://mine/a?ttl=8}"))
      assert.same({ prefix = "p", ttl = 8 }, mock.asked[1].conf)
      assert.same({ n = 2, nil, "could not find vault (none)" }, table.pack(vault.get("{vault://none/a}")))
      _, err = vault.get("{vault://broken/a}")
      assert.equal("could not find vault (broken): [off] no", err)
      pdk.configuration.loaded_vaults.gone = true
      assert.same({ n = 2, nil, "could not find vault (gone)" },
        table.pack(require("kong.pdk.vault").new(pdk).get("{vault://gone/a}")))
    end)

    it("says which vault is not installed", function()
      pdk.configuration.loaded_vaults.gone = true
      vault = require("kong.pdk.vault").new(pdk)
      local _, err = vault.get("{vault://gone/a}")
      assert.matches("^could not find vault %(gone%): module 'kong.vaults.gone' not found", err)
      package.loaded["kong.vaults.gone"] = { get = function() end }
      finally(function()
        package.loaded["kong.vaults.gone"] = nil
      end)
      _, err = vault.get("{vault://gone/a}")
      assert.matches("^could not find vault schema %(gone%): module 'kong.vaults.gone.schema' not found", err)
    end)

    it("is asked again when its time is over", function()
      mock.secrets.a = function()
        return "v" .. #mock.asked
      end
      assert.equal("v1", vault.get(mock.ref("a?ttl=0.05")))
      ngx.sleep(0.1)
      -- the shared tier keeps it for longer; a rotation is what renews it
      assert.equal("v1", vault.get(mock.ref("a?ttl=0.05")))
      vault.flush()
      ngx.sleep(0.05)
      assert.equal("v2", vault.get(mock.ref("a?ttl=0.05")))
    end)

    it("bounds what the vault says about the time", function()
      local dict = ngx.shared.kong_secrets
      local function left(reference)
        for _, key in ipairs(dict:get_keys(0)) do
          if key:sub(24) == reference then
            return dict:ttl(key)
          end
        end
      end
      mock.secrets.a = function()
        return "x", nil, 100
      end
      local max = 1e8
      for query, ttl in pairs {
        ["min_ttl=200"] = 200,
        ["max_ttl=50"] = 50,
        ["ttl=5"] = 100,
      } do
        local reference = mock.ref("a?" .. query)
        assert.equal("x", vault.get(reference))
        assert.is_true(math.abs(left(reference) - ttl - max) < 5)
      end
      local short = mock.ref("a?resurrect_ttl=10")
      vault.get(short)
      assert.is_true(math.abs(left(short) - 120) < 5) -- 110, but not less than two rotations
      local absent = mock.ref("none?neg_ttl=300")
      vault.get(absent)
      assert.is_true(math.abs(left(absent) - 300) < 5)
    end)
  end)

  describe("rotation", function()
    it("leaves a secret as it was while its vault is away", function()
      mock.secrets.a = "old"
      local reference = mock.ref("a?ttl=0.05&resurrect_ttl=1000")
      assert.equal("old", vault.get(reference))
      ngx.sleep(0.1)
      mock.secrets.a = function()
        return nil, "away"
      end
      vault.flush()
      ngx.sleep(0.05)
      assert.is_true(#mock.asked > 1)
      assert.equal("old", vault.get(reference))
      mock.secrets.a = "new"
      vault.flush()
      ngx.sleep(0.05)
      assert.equal("new", vault.get(reference))
    end)

    it("finds what was not there before", function()
      assert.is_nil((vault.get(mock.ref("late"))))
      mock.secrets.late = "here"
      assert.is_nil((vault.get(mock.ref("late"))))
      vault.flush()
      ngx.sleep(0.05)
      assert.equal("here", vault.get(mock.ref("late")))
    end)

    it("reads two fields of one secret once", function()
      mock.secrets.a = cjson.encode { user = "u", password = "p" }
      local options = { ["$refs"] = { user = mock.ref("a/user"), password = mock.ref("a/password") } }
      local calls = 0
      local ok = vault.try(function(given)
        calls = calls + 1
        return given.user == "u" and given.password == "p"
      end, options)
      assert.is_true(ok)
      assert.equal(2, calls)
      assert.equal(1, #mock.asked)
    end)
  end)

  describe("update", function()
    it("sets what is known, and empty text for what is not", function()
      mock.secrets.a = "A"
      vault.get(mock.ref("a"))
      local conf = {
        one = "?", other = "?", list = { "keep", "?" }, map = { k = "?" }, plain = "plain",
        ["$refs"] = {
          one = mock.ref("a"),
          other = mock.ref("b"),
          list = { [2] = mock.ref("a") },
          map = { k = mock.ref("a") },
          gone = { mock.ref("a") },
        },
        sub = { one = "?", ["$refs"] = { one = mock.ref("a") } },
      }
      assert.equal(conf, vault.update(conf))
      assert.equal("A", conf.one)
      assert.equal("", conf.other)
      assert.same({ "keep", "A" }, conf.list)
      assert.same({ k = "A" }, conf.map)
      assert.equal("plain", conf.plain)
      assert.equal("A", conf.sub.one)
      assert.equal(1, #mock.asked)
      assert.same({
        "warn error updating secret reference " .. mock.ref("b") .. ": could not find cached value",
      }, lines)
    end)

    it("leaves other things alone", function()
      assert.equal("x", vault.update("x"))
      assert.is_nil(vault.update(nil))
      assert.same({ a = { 1 } }, vault.update({ a = { 1 } }))
    end)
  end)

  describe("try", function()
    it("calls once without references, with both results", function()
      assert.same({ n = 2, nil, "no" }, table.pack(vault.try(function()
        return nil, "no"
      end, { ["$refs"] = {} })))
    end)

    it("gets new secrets for the second call, and gives its results", function()
      mock.secrets.a = "old"
      vault.get(mock.ref("a"))
      mock.secrets.a = "new"
      local seen = {}
      local res, err = vault.try(function(given)
        seen[#seen + 1] = given.a
        return nil, "refused " .. given.a
      end, { ["$refs"] = { a = mock.ref("a") } })
      assert.same({ "old", "new" }, seen)
      assert.is_nil(res)
      assert.equal("refused new", err)
    end)

    it("logs what it cannot renew", function()
      vault.try(function() end, { ["$refs"] = { a = mock.ref("none") } })
      assert.same({
        "warn error updating secret reference " .. mock.ref("none") .. ": could not find cached value",
        "warn could not retrieve value for reference " .. mock.ref("none")
          .. " (could not get value from external vault (no value found))",
      }, lines)
    end)
  end)

  it("warmup gets every reference there is", function()
    mock.secrets.a, mock.secrets.b = "A", "B"
    vault.warmup({ x = mock.ref("a"), { [mock.ref("b")] = "text" }, y = 1 })
    assert.equal(2, #mock.asked)
    assert.equal("B", vault.get(mock.ref("b")))
    assert.equal(2, #mock.asked)
  end)

  describe("env", function()
    local env = require "kong.vaults.env"

    before_each(function()
      ffi.C.setenv("B7_MY_SECRET", "s", 1)
      ffi.C.setenv("B7_MY_SECRET_PREVIOUS", "older", 1)
    end)

    after_each(function()
      ffi.C.unsetenv("B7_MY_SECRET")
      ffi.C.unsetenv("B7_MY_SECRET_PREVIOUS")
    end)

    it("reads upper-cased variables, dashes as underscores", function()
      assert.equal("s", env.get({}, "b7-my-secret"))
      assert.equal("s", env.get({ prefix = "b7-" }, "my_secret", 1))
      assert.equal("older", env.get({ prefix = "b7_" }, "my_secret", 2))
      assert.is_nil(env.get({}, "b7-none"))
      assert.equal("s", vault.get("{vault://env/my-secret?prefix=b7_}"))
    end)

    it("has a prefix from the settings, if it is one", function()
      pdk.configuration.vault_env_prefix = "b7-my-"
      assert.equal("s", require("kong.pdk.vault").new(pdk).get("{vault://env/secret}"))
      pdk.configuration.vault_env_prefix = "1"
      assert.is_nil((require("kong.pdk.vault").new(pdk).get("{vault://env/secret#1}")))
    end)
  end)
end)

describe("D1 kong.vault", function()
  local vault = kong.vault
  local reference = "{vault://env/d1-vault-secret}"

  before_each(function()
    ffi.C.setenv("D1_VAULT_SECRET", "known", 1)
  end)

  after_each(function()
    ffi.C.unsetenv("D1_VAULT_SECRET")
  end)

  it("D1 is_reference, parse_reference, get", function()
    assert.is_true(vault.is_reference(reference))
    assert.is_false(vault.is_reference("known"))
    assert.same({ name = "env", resource = "d1-vault-secret" }, vault.parse_reference(reference))
    assert.equal("known", vault.get(reference))
    assert.same({ n = 2, nil, "not a reference [5]" }, table.pack(vault.get(5)))
  end)

  it("D1 init_worker, warmup, update, try, flush", function()
    assert.is_nil(vault.init_worker())
    assert.is_nil(vault.warmup({ a = reference }))
    local conf = { a = reference, b = 1, ["$refs"] = { a = reference } }
    assert.equal(conf, vault.update(conf))
    assert.same({ "known", 1 }, { conf.a, conf.b })
    local calls = 0
    assert.equal("done", vault.try(function(given)
      calls = calls + 1
      return given.a == "known" and "done"
    end, conf))
    assert.equal(1, calls)
    assert.is_nil(vault.flush())
    ngx.sleep(0.02)
    assert.equal("known", vault.get(reference))
  end)

  it("D1 junk raises a string, or is left as it is", function()
    for _, junk in ipairs { 1, "x", true } do
      assert.equal(junk, vault.update(junk))
      local ok, err = pcall(vault.warmup, junk)
      assert.is_false(ok)
      assert.equal("string", type(err))
      assert.is_false(vault.is_reference(junk))
    end
    local ok, err = pcall(vault.try, 1, {})
    assert.is_false(ok)
    assert.matches("attempt to call", err, 1, true)
  end)
end)

describe("B7 kong.conf_loader", function()
  local conf_loader = require "kong.conf_loader"

  it("loads defaults and overrides into a table of typed values", function()
    local conf = assert(conf_loader(nil, {
      plugins = "bundled, mine", vaults = "bundled,other", database = "postgres", pg_port = 5, pg_ssl = true,
      trusted_ips = { "10.0.0.0/8" },
    }))
    assert.equal("postgres", conf.database)
    assert.equal(5, conf.pg_port)
    assert.is_true(conf.pg_ssl)
    assert.same({ "10.0.0.0/8" }, conf.trusted_ips)
    assert.same({ env = true, other = true }, conf.loaded_vaults)
    assert.is_true(conf.loaded_plugins["key-auth"] and conf.loaded_plugins.mine)
    assert.is_nil(conf["$refs"])
  end)

  it("says what is wrong", function()
    local conf, err, errors = conf_loader(nil, { log_level = "loud", pg_port = "x" })
    assert.is_nil(conf)
    assert.matches("^log_level has an invalid value: 'loud' %(debug, info, notice, ", err)
    assert.equal(2, #errors)
    assert.same({ n = 2, nil, "no file at: /nowhere" }, { n = 2, conf_loader("/nowhere") })
  end)

  it("resolves references and keeps them in $refs", function()
    local made = strategy("settingsvault")
    made.secrets.user = "me"
    ffi.C.setenv("B7_PASSWORD", "a,b", 1)
    finally(function()
      ffi.C.unsetenv("B7_PASSWORD")
    end)
    local given = {
      vaults = "bundled, settingsvault", pg_password = "{vault://env/b7-password}",
      pg_user = "{vault://settingsvault/user}", pg_database = "{vault://env/b7-none}",
    }
    local conf = assert(conf_loader(nil, given))
    assert.equal("a,b", conf.pg_password)
    assert.equal("me", conf.pg_user)
    assert.equal("{vault://env/b7-none}", conf.pg_database)
    assert.same({
      pg_password = given.pg_password, pg_user = given.pg_user, pg_database = given.pg_database,
    }, conf["$refs"])
    local shown = conf_loader.remove_sensitive(conf)
    assert.equal("******", shown.pg_password)
    assert.equal(given.pg_user, shown.pg_user)
    assert.is_nil(shown["$refs"])
    assert.same({
      n = 2, nil,
      "failed to dereference '{vault://env/b7-none}': could not get value from external vault (no value "
        .. "found) for config option 'pg_database'",
    }, { n = 2, conf_loader(nil, given, { starting = true }) })
    assert.is_nil(conf_loader(nil, given, { stopping = true }).pg_database)
  end)
end)

describe("B7 kong.global", function()
  local global = require "kong.global"

  it("makes a kong of a configuration", function()
    local made = global.new()
    assert.equal("3.10.0", made.version)
    global.init_pdk(made, { loaded_vaults = {}, answer = 42 })
    assert.equal(42, made.configuration.answer)
    assert.is_true(made.vault.is_reference("{vault://a/b}"))
    local _, err = made.vault.get("{vault://env/a}")
    assert.equal("unable to retrieve config from db", err)
    assert.equal(require("kong.pdk.private.phases").phases, global.phases)
    assert.error_matches(function() global.init_pdk() end, "arg #1 cannot be nil", 1, true)
  end)
end)
