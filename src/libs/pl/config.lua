-- `pl.config`: settings files of `name = value` lines with `[sections]`.

local stringio = require "pl.stringio"
local stringx = require "pl.stringx"
local utils = require "pl.utils"

local M = {}

local DEFAULTS = {
  variabilize = true,
  convert_numbers = true,
  convert_boolean = false,
  trim_space = true,
  trim_quotes = false,
  ignore_assign = false,
  list_delim = ",",
  keysep = "=",
}

--- Iterates over lines that are neither blank nor comments, those that end in a backslash joined with the
--- next.
function M.lines(file)
  local opened, err
  if type(file) == "string" then
    opened, err = io.open(file, "r")
    if not opened then
      return nil, err
    end
    file = opened
  end
  file = file or io.stdin
  if not file.read then
    return nil, "not a file-like object"
  end
  local begun = ""
  return function()
    for line in function() return file:read() end do
      if line:find "%S" and not line:find "^%s*[;#]" then
        local stop = line:find "\\%s*$"
        line = begun .. (stop and line:sub(1, stop - 1) or line)
        begun = stop and line or ""
        if not stop then
          return line
        end
      end
    end
    if opened then
      opened:close()
    end
  end
end

-- What the first line says about the rest, for `smart`.
local function guess(line, options)
  options.smart = true
  if line:find "^[^=]+=" then
    options.keysep = "="
  elseif line:find "^[^:]+:" then
    options.keysep, options.list_delim = ":", ":"
  elseif line:find "^%S+%s+" then
    options.keysep, options.variabilize = " ", false
    if line:find "^%S+%s+%S+%s+%S+" then
      options.list_delim = " "
    end
  end
end

local function scalar(options, value)
  if options.convert_numbers and value:find "^[%d%+%-]" then
    local number = tonumber(value) or tonumber((value:gsub(" kB$", "")))
    if number then
      return number
    end
  elseif options.convert_boolean and (value == "true" or value == "false") then
    return value == "true"
  end
  if options.trim_space then
    value = stringx.strip(value)
  end
  if options.smart and value:find '^"' then
    options.trim_quotes = true
  end
  if options.trim_quotes then
    value = value:gsub("['\"](.*)['\"]", "%1")
  end
  return value
end

local function convert(options, value)
  local delim = options.list_delim == " " and "%s+" or options.list_delim
  if not delim or not value:find(delim) then
    return scalar(options, value)
  end
  local list = {}
  for i, part in ipairs(utils.split(value, delim)) do
    list[i] = scalar(options, part)
  end
  return list
end

--- Reads settings from a file or an object that reads like one; nil and an error. `cnfg` may have `smart`,
--- `variabilize`, `convert_numbers`, `convert_boolean`, `trim_space`, `trim_quotes`, `ignore_assign`,
--- `list_delim`, `keysep`.
function M.read(file, cnfg)
  local iterate, err = M.lines(file)
  if not iterate then
    return nil, err
  end
  local options = setmetatable({}, { __index = DEFAULTS })
  for key, value in pairs(cnfg or {}) do
    options[key] = value
  end
  local line = iterate()
  if options.smart and line then
    guess(line, options)
  end
  local function named(key)
    return options.variabilize and key:gsub("[^%w]", "_") or key
  end
  local separator = options.keysep == " " and "%s+" or "%s*" .. options.keysep .. "%s*"
  local all = {}
  local into = all
  while line do
    if line:find "^%[" then
      into = {}
      all[named(line:match "%[([^%]]+)%]")] = into
    else
      line = stringx.lstrip(line)
      local from, to = line:find(separator)
      if from and not options.ignore_assign then
        into[named(line:sub(1, from - 1))] = convert(options, line:sub(to + 1))
      else
        into[#into + 1] = convert(options, line)
      end
    end
    line = iterate()
  end
  return all
end

--- As `read`, from text.
function M.read_string(text, cnfg)
  return M.read(stringio.open(text), cnfg)
end

return M
