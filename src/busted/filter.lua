-- Choosing tests by tag and name, listing them, and stopping after an error: all by
-- deciding whether a registration or event goes on.

local host = require("busted.host")

local TESTS = { "it", "pending" }
local BLOCKS_AND_TESTS = { "describe", "it", "pending" }
local SUPPORT = {
  "setup", "teardown", "before_each", "after_each",
  "lazy_setup", "lazy_teardown", "strict_setup", "strict_teardown",
}

local filter = {}

-- The name of the current element with those of its parents, and `name` at the end.
function filter.full_name(core, name)
  local names = { name }
  local element = core.context.get()
  while element and (element.name or element.descriptor) and element.descriptor ~= "file" do
    table.insert(names, 1, element.name or element.descriptor)
    element = core.context.parent(element)
  end
  return table.concat(names, " ")
end

local function has_tag(name, tag)
  return name:find("#" .. tag) ~= nil
end

local function any(list, test)
  for _, item in ipairs(list or {}) do
    if test(item) then return true end
  end
  return false
end

-- Prints the full name of each test, and runs nothing.
local function listing(core, options)
  local function stop() return nil, false end
  for _, channel in ipairs { "suite", "file", "describe" } do
    core.subscribe({ channel, "start" }, stop, { priority = 1 })
    core.subscribe({ channel, "end" }, stop, { priority = 1 })
  end
  core.subscribe({ "test", "start" }, stop, { priority = 1 })
  core.subscribe({ "test", "end" }, function(element, _, status)
    if not (options.suppress_pending and status == "pending") then
      local name = filter.full_name(core)
      local at = element.trace
      if at and at.what == "Lua" then
        name = at.short_src .. ":" .. at.currentline .. ": " .. name
      end
      host.current().write(name .. "\n")
    end
    return nil, false
  end, { priority = 1 })

  -- Registered anew with a function that does nothing.
  local function nothing() end
  local function empty_out(word)
    core.subscribe({ "register", word }, function(name, fn, ...)
      if fn == nothing then return nil, true end
      core.publish({ "register", word }, name, nothing, ...)
      return nil, false
    end, { priority = 1 })
  end
  for _, word in ipairs(SUPPORT) do empty_out(word) end
  for _, word in ipairs(TESTS) do empty_out(word) end
end

local function load_names(path)
  local text, err = host.current().read_file(path)
  if not text then
    error("cannot open " .. path .. ": " .. tostring(err), 0)
  end
  local names = {}
  for line in text:gmatch("[^\r\n]+") do
    names[#names + 1] = line
  end
  return names
end

-- options: tags, exclude_tags, filter, filter_out, name (lists), exclude_names_file,
-- list, stop_on_error, suppress_pending.
function filter.apply(core, options)
  local function keep(words, test)
    for _, word in ipairs(words) do
      core.subscribe({ "register", word }, function(name)
        return nil, test(name)
      end, { priority = 1 })
    end
  end
  local function full(name)
    return filter.full_name(core, name)
  end

  if options.list then listing(core, options) end
  if options.stop_on_error then
    local function going() return not core.skipAll end
    keep(SUPPORT, going)
    keep({ "file" }, going)
    keep(BLOCKS_AND_TESTS, going)
  end

  -- Each is put in front of those before it.
  if #options.filter > 0 then
    keep(TESTS, function(name)
      return any(options.filter, function(pattern) return full(name):find(pattern) ~= nil end)
    end)
  end
  if #options.name > 0 then
    keep(BLOCKS_AND_TESTS, function(name)
      return any(options.name, function(candidate) return candidate:find(full(name), 1, true) ~= nil end)
    end)
  end
  if #options.filter_out > 0 then
    keep(BLOCKS_AND_TESTS, function(name)
      return not any(options.filter_out, function(pattern) return full(name):find(pattern) ~= nil end)
    end)
  end
  if options.exclude_names_file then
    local names = load_names(options.exclude_names_file)
    keep(BLOCKS_AND_TESTS, function(name)
      return not any(names, function(excluded) return full(name) == excluded end)
    end)
  end
  if #options.tags > 0 then
    keep(TESTS, function(name)
      return any(options.tags, function(tag) return has_tag(full(name), tag) end)
    end)
  end
  if #options.exclude_tags > 0 then
    keep(BLOCKS_AND_TESTS, function(name)
      return not any(options.exclude_tags, function(tag) return has_tag(name, tag) end)
    end)
  end
end

return filter
