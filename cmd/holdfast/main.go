// Command holdfast is the one program: server, storage node, and the client's verbs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is every verb.
type cli struct {
	Send    sendCmd    `cmd:"" help:"Seal files, store them twice and print a link to them."`
	Receive receiveCmd `cmd:"" help:"Get the files behind a link."`
	Sends   sendsCmd   `cmd:"" help:"List what this machine sent."`
	Unsend  unsendCmd  `cmd:"" help:"Revoke a link that this machine made."`
	Where   whereCmd   `cmd:"" help:"Show where the copies behind a link stand."`

	Signup   signupCmd   `cmd:"" help:"Make an account: a name, a password and a recovery phrase, nothing else."`
	Login    loginCmd    `cmd:"" help:"Log in on this machine."`
	Logout   logoutCmd   `cmd:"" help:"Log out on this machine."`
	Whoami   whoamiCmd   `cmd:"" help:"Show who is logged in, and the contact code to give to others."`
	Passwd   passwdCmd   `cmd:"" help:"Change the password."`
	Recover  recoverCmd  `cmd:"" help:"Set a new password with the recovery phrase."`
	Sessions sessionsCmd `cmd:"" help:"List and end logins of the account."`
	Factor   factorCmd   `cmd:"" name:"2fa" help:"Second factor: codes that a device shows."`
	Account  accountCmd  `cmd:"" help:"Rename, export or erase the account."`

	Ls       lsCmd       `cmd:"" help:"List folders of the drive."`
	Tree     treeCmd     `cmd:"" help:"Show everything below a folder of the drive."`
	Find     findCmd     `cmd:"" help:"Find files and folders of the drive."`
	Du       duCmd       `cmd:"" help:"Add up what files and folders of the drive take."`
	Mkdir    mkdirCmd    `cmd:"" help:"Make folders in the drive."`
	Cp       cpCmd       `cmd:"" help:"Copy within the drive; no content moves."`
	Mv       mvCmd       `cmd:"" help:"Move and rename within the drive."`
	Rm       rmCmd       `cmd:"" help:"Put files and folders into the trash."`
	Trash    trashCmd    `cmd:"" help:"List the trash, or empty it."`
	Restore  restoreCmd  `cmd:"" help:"Take things out of the trash."`
	Versions versionsCmd `cmd:"" help:"List what a file was before, and bring it back."`
	Put      putCmd      `cmd:"" help:"Put files into the drive."`
	Get      getCmd      `cmd:"" help:"Get files out of the drive."`
	Cat      catCmd      `cmd:"" help:"Write files of the drive to stdout."`
	Sync     syncCmd     `cmd:"" help:"Make a folder of the drive what one of this machine is."`
	Share    shareCmd    `cmd:"" help:"Make a link to a file or folder of the drive."`
	Links    linksCmd    `cmd:"" help:"List the links to what is in the drive."`
	Unlink   unlinkCmd   `cmd:"" help:"End links to what is in the drive."`
	Save     saveCmd     `cmd:"" help:"Copy what a link opens to the drive; no content moves."`

	Export exportCmd `cmd:"" help:"Take everything along: all files, and what the service keeps of the account."`

	Invite      inviteCmd      `cmd:"" help:"Share a folder with a contact."`
	Invitations invitationsCmd `cmd:"" help:"Folders that others want to share: list, accept, decline."`
	Members     membersCmd     `cmd:"" help:"Show who may open a folder."`
	Revoke      revokeCmd      `cmd:"" help:"Take a folder from somebody: what comes after cannot be read any more."`
	Leave       leaveCmd       `cmd:"" help:"Forget a folder that somebody shares."`

	Contacts contactsCmd `cmd:"" help:"People to share with: their contact codes, and your own."`
	Verify   verifyCmd   `cmd:"" help:"Compare safety numbers with a contact."`

	Dev     devCmd     `cmd:"" help:"Run a whole service on this machine."`
	Server  serverCmd  `cmd:"" help:"Run the server (control plane)."`
	Node    nodeCmd    `cmd:"" help:"Lend storage."`
	Admin   adminCmd   `cmd:"" help:"Operator's tasks."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print a script with which a shell completes command lines."`
}

// options name the program.
var options = []kong.Option{kong.Name("holdfast"), kong.Description(description)}

func main() { os.Exit(run()) }

func run() int {
	var c cli
	parser := kong.Must(&c, options...)
	parsed, err := parser.Parse(os.Args[1:])
	if err != nil {
		return fail(&usageError{err})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	parsed.BindTo(ctx, (*context.Context)(nil))
	return fail(parsed.Run())
}
