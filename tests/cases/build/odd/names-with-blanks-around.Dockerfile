#: fails "/names/ edge ": not found
FROM scratch
COPY ["names/ edge ", "/names/"]
