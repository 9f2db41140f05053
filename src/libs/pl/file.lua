-- `pl.file`.

local path = require "pl.path"
local utils = require "pl.utils"

return {
  read = utils.readfile,
  write = utils.writefile,
  delete = os.remove,
  modified_time = path.getmtime,
  access_time = path.getatime,
  creation_time = path.getctime,
  copy = function(from, to)
    local content, err = utils.readfile(from, true)
    if not content then
      return nil, err
    end
    return utils.writefile(to, content, true)
  end,
  move = os.rename,
}
