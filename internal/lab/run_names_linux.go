package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// resolvConf is where every resolver finds its name servers.
const resolvConf = "/etc/resolv.conf"

// useResolvers makes every program in this mount namespace ask the given name
// servers and nobody else, by laying files of its own over those of the
// system.
//
// That takes more than resolv.conf: /etc/hosts comes first, nsswitch.conf may
// send the C library to daemons (resolved, nscd) that live outside this network
// and answer through sockets in the file system.
func useResolvers(resolvers []netip.Addr) error {
	if _, err := os.Stat(resolvConf); errors.Is(err, os.ErrNotExist) {
		if err := createResolvConf(); err != nil {
			return err
		}
	}
	if err := layOver(resolvConf, resolverLines(resolvers)); err != nil {
		return err
	}
	host, _ := os.Hostname() // sudo and others look their own host up
	errs := []error{layOver("/etc/hosts", "127.0.0.1 localhost "+host+"\n::1 localhost "+host+"\n")}
	if old, err := os.ReadFile("/etc/nsswitch.conf"); err == nil {
		errs = append(errs, layOver("/etc/nsswitch.conf", plainHosts(string(old))))
	}
	for _, socket := range []string{"/run/nscd/socket", "/var/run/nscd/socket"} {
		errs = append(errs, unix.Mount("/dev/null", socket, "", unix.MS_BIND, ""))
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// resolverLines is the content of resolv.conf.
func resolverLines(resolvers []netip.Addr) string {
	var b strings.Builder
	for _, a := range resolvers {
		fmt.Fprintf(&b, "nameserver %v\n", a)
	}
	b.WriteString("options timeout:2 attempts:2\n")
	return b.String()
}

// plainHosts returns an nsswitch.conf in which hosts come from files and DNS.
func plainHosts(conf string) string {
	var b strings.Builder
	for line := range strings.Lines(conf) {
		if !strings.HasPrefix(strings.TrimSpace(line), "hosts:") {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	b.WriteString("hosts: files dns\n")
	return b.String()
}

// layOver lets path have another content in this mount namespace. The file that
// is mounted over it is in no file system that anybody can reach.
func layOver(path, content string) error {
	target, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(target)
	return onScratch(func(dir string) error {
		source := dir + "/file"
		if err := os.WriteFile(source, []byte(content), 0o644); err != nil {
			return err
		}
		if err := os.Chmod(source, 0o644); err != nil { // whatever the umask
			return err
		}
		// By its descriptor: the scratch directory may hide the path.
		if err := unix.Mount(source, fmt.Sprintf("/proc/self/fd/%d", target), "", unix.MS_BIND, ""); err != nil {
			return &os.PathError{Op: "mount", Path: path, Err: err}
		}
		return nil
	})
}

// onScratch calls f with an empty directory in memory, which is gone afterwards
// but for what has been mounted from it.
func onScratch(f func(dir string) error) error {
	dir := ""
	for _, d := range []string{"/tmp", "/run", "/mnt", "/var"} {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			dir = d
			break
		}
	}
	if err := unix.Mount("lab", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return errors.Join(f(dir), os.NewSyscallError("umount", unix.Unmount(dir, unix.MNT_DETACH)))
}

// createResolvConf makes an empty resolv.conf where there is none, or a symbolic
// link to nowhere, on a layer over /etc that only this mount namespace sees.
func createResolvConf() error {
	err := onScratch(func(dir string) error {
		upper, work := dir+"/upper", dir+"/work"
		if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
			return err
		}
		layers := "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work
		if err := unix.Mount("lab", "/etc", "overlay", 0, layers+",userxattr"); err != nil {
			// Before Linux 5.11 there is no such option, and only root may.
			if err := unix.Mount("lab", "/etc", "overlay", 0, layers); err != nil {
				return &os.PathError{Op: "mount", Path: "/etc", Err: err}
			}
		}
		if err := os.Remove(resolvConf); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return os.WriteFile(resolvConf, nil, 0o644)
	})
	if err != nil {
		return fmt.Errorf("there is no %s to replace (sudo touch %[1]s mends it): %w", resolvConf, err)
	}
	return nil
}
